import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Uplink } from '../../core/ports/uplink.ts';
import { keyFrom } from '../../core/seal.ts';
import { createHubClock } from './hub-clock.ts';
import { openSession, type Session, type Timing } from './session.ts';

export type GatewayUplinkOptions = {
  /** The hub's address, `https://host:port` or `http://` on loopback. */
  url: string;
  site: string;
  key: Buffer;
  /** The hub's own authority (PEM) from joining; null where a public one vouches for it, or on plain loopback. */
  ca: string | null;
  /** Random id of this installation. */
  instance: string;
  clock: Clock;
  logger: Logger;
  /** From 0 up to 1. */
  random?: () => number;
  timing?: Partial<Timing & { backoffMinMs: number; backoffMaxMs: number }>;
};

/** A connection that lasted so long was a good one: the next failure starts with short waits again. */
const GOOD_AFTER_MS = 30_000;

export function createGatewayUplink(options: GatewayUplinkOptions): Uplink {
  const { site, ca, instance, clock, logger, random = Math.random } = options;
  const timing = {
    pingMs: 10_000,
    deadMs: 30_000,
    ackMs: 120_000,
    backoffMinMs: 1000,
    backoffMaxMs: 30_000,
    ...options.timing,
  };
  const key = keyFrom(options.key);
  const address = channelAddress(options.url, site);
  const hubClock = createHubClock(clock);
  const listeners: (() => void)[] = [];
  let session: Session | null = null;
  let retry: NodeJS.Timeout | null = null;
  let running = false;
  let readyAtMonoMs: number | null = null;
  let backfillPerS = 1;
  let failures = 0;
  let trouble: string | null = 'not connected yet';

  function connect(): void {
    retry = null;
    session = openSession({
      address,
      site,
      key,
      ca,
      instance,
      clock,
      timing,
      observeHubTime: hubClock.observe,
      onReady(rate) {
        backfillPerS = rate;
        readyAtMonoMs = clock.monoMs();
        trouble = null;
        logger.info({ site, hub: address.host }, 'uplink.ready');
        for (const listener of listeners) listener();
      },
      onClosed,
    });
  }

  function onClosed(why: string, final: boolean): void {
    session = null;
    if (!running) return;
    if (why !== trouble) logger.warn({ site, hub: address.host, why }, 'uplink.away');
    trouble = why;
    if (readyAtMonoMs !== null && clock.monoMs() - readyAtMonoMs >= GOOD_AFTER_MS) failures = 0;
    readyAtMonoMs = null;
    failures += 1;
    retry = setTimeout(connect, waitMs(final));
  }

  /** Spread from the least wait to a limit that doubles, so that a fleet does not come back all at once. */
  function waitMs(final: boolean): number {
    const limit = final
      ? timing.backoffMaxMs
      : Math.min(timing.backoffMaxMs, timing.backoffMinMs * 2 ** Math.min(failures, 16));
    const least = final ? limit / 2 : Math.min(timing.backoffMinMs, limit);
    return least + random() * (limit - least);
  }

  return {
    async start() {
      if (running) return;
      running = true;
      connect();
    },
    async send(lane, reports) {
      if (session === null || readyAtMonoMs === null) return { ok: false, code: 'away' };
      return session.send(lane, reports);
    },
    get ready() {
      return readyAtMonoMs !== null;
    },
    onReady(listener) {
      listeners.push(listener);
    },
    offsetMs: hubClock.offsetMs,
    backfillPerS: () => backfillPerS,
    trouble: () => trouble,
    async stop() {
      running = false;
      if (retry !== null) clearTimeout(retry);
      retry = null;
      session?.close();
      session = null;
      readyAtMonoMs = null;
      trouble = 'stopped';
    },
  };
}

function channelAddress(url: string, site: string): URL {
  const address = new URL(`/api/v1/sites/${site}/channel`, url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  return address;
}
