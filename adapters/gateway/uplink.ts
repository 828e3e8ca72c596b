import type { KeyObject } from 'node:crypto';
import type { Lane } from '../../core/channel.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Confirmation, Documents, Holdings, PolicyLink } from '../../core/ports/policy-link.ts';
import type { SendOutcome, Uplink } from '../../core/ports/uplink.ts';
import { keyFrom } from '../../core/seal.ts';
import { echo } from './echo.ts';
import { createHubClock } from './hub-clock.ts';
import { REDIAL, type RedialTiming, redialAfterMs } from './redial.ts';
import { Session, type Timing } from './session.ts';

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
  timing?: Partial<Timing & RedialTiming>;
};

const TIMING = { pingMs: 10_000, deadMs: 30_000, ackMs: 120_000, ...REDIAL };

export function createGatewayUplink(options: GatewayUplinkOptions): Uplink & PolicyLink {
  return new GatewayUplink(options);
}

class GatewayUplink implements Uplink, PolicyLink {
  readonly #options: GatewayUplinkOptions;
  readonly #timing: typeof TIMING;
  readonly #key: KeyObject;
  readonly #address: URL;
  readonly #hubClock: ReturnType<typeof createHubClock>;
  readonly #listeners: (() => void)[] = [];
  readonly #stopped = new AbortController();
  #policy: { holdings: () => Holdings; onDocuments: (documents: Documents) => void } | null = null;
  #session: Session | null = null;
  #retry: NodeJS.Timeout | undefined;
  #running = false;
  #isReady = false;
  /** It was lost, or never there, and has not answered since. */
  #isAway = false;
  #backfillPerS = 1;
  #trouble: string | null = 'not connected yet';

  constructor(options: GatewayUplinkOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#key = keyFrom(options.key);
    this.#address = channelAddress(options.url, options.site);
    this.#hubClock = createHubClock(options.clock);
  }

  get ready(): boolean {
    return this.#isReady;
  }
  readonly offsetMs = (): number | null => this.#hubClock.offsetMs();
  readonly backfillPerS = (): number => this.#backfillPerS;
  readonly trouble = (): string | null => this.#trouble;

  onReady(listener: () => void): void {
    this.#listeners.push(listener);
  }

  listen(holdings: () => Holdings, onDocuments: (documents: Documents) => void): void {
    this.#policy = { holdings, onDocuments };
  }

  tell(holdings: Holdings): void {
    if (this.ready) this.#session?.tell(holdings);
  }

  async confirm(withinMs: number): Promise<Confirmation> {
    const { url, site, ca, clock } = this.#options;
    const session = this.#session;
    const answer = await echo({ url, site, key: this.#key, ca, clock }, withinMs, this.#stopped.signal);
    if (answer.ok) return answer;
    return { ...answer, isHubThere: session !== null && session === this.#session && session.isHeard };
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  async send(lane: Lane, reports: readonly Uint8Array[]): Promise<SendOutcome> {
    if (this.#session === null || !this.ready) return { ok: false, code: 'away' };
    return this.#session.send(lane, reports);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#stopped.abort();
    clearTimeout(this.#retry);
    this.#session?.close();
    this.#session = null;
    this.#isReady = false;
    this.#trouble = 'stopped';
  }

  #connect(): void {
    const { site, ca, instance, clock } = this.#options;
    this.#session = new Session({
      address: this.#address,
      site,
      key: this.#key,
      ca,
      instance,
      clock,
      timing: this.#timing,
      observeHubTime: this.#hubClock.observe,
      holdings: () => this.#policy?.holdings() ?? null,
      onDocuments: (documents) => this.#policy?.onDocuments(documents),
      onReady: (backfillPerS) => this.#becomeReady(backfillPerS),
      onClosed: (trouble, final) => this.#becomeAway(trouble, final),
    });
  }

  #becomeReady(backfillPerS: number): void {
    const { site, logger } = this.#options;
    this.#backfillPerS = backfillPerS;
    this.#isReady = true;
    this.#isAway = false;
    this.#trouble = null;
    logger.info({ site, hub: this.#address.host }, 'uplink.ready');
    for (const listener of this.#listeners) listener();
  }

  #becomeAway(why: string, final: boolean): void {
    const { site, logger, random } = this.#options;
    this.#session = null;
    if (!this.#running) return;
    if (why !== this.#trouble) logger.warn({ site, hub: this.#address.host, why }, 'uplink.away');
    this.#trouble = why;
    this.#isReady = false;
    const reason = final ? 'refused' : this.#isAway ? 'still-away' : 'lost';
    this.#isAway = true;
    const waitMs = redialAfterMs(this.#timing, reason, (random ?? Math.random)());
    this.#retry = setTimeout(() => this.#connect(), waitMs);
  }
}

function channelAddress(url: string, site: string): URL {
  const address = new URL(`/api/v1/sites/${site}/channel`, url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  return address;
}
