import { createCorrectedTime } from '../core/corrected-time.ts';
import type { Position, ProbeStatus } from '../core/model/report.ts';
import type { Labels, SiteKind } from '../core/model/site.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Probe } from '../core/ports/probe.ts';
import { type Spool, SpoolError } from '../core/ports/spool.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import { keyFrom, seal } from '../core/seal.ts';
import { createReader } from './reading.ts';
import { encodeReport } from './report.ts';
import { createShipping } from './shipping.ts';
import { createTicker } from './ticker.ts';

export type CollectorOptions = {
  site: string;
  kind: SiteKind;
  /** The site's key, 32 bytes. */
  key: Buffer;
  version: string;
  intervalMs: number;
  probes: readonly Probe[];
  /** Started before `start` and stopped after `stop` by whoever opened it: the identity is in it. */
  spool: Spool;
  uplink: Uplink;
  /** Labels that the site's owner proposes. */
  proposed: Labels;
  clock: Clock;
  logger: Logger;
  /** Says `simulated` for its kind, whatever it pretends to be. */
  simulated?: boolean;
};

/** What a person at the site asks. */
export type CollectorStatus = {
  site: string;
  boot: string;
  /** Reports made since this boot. */
  seq: number;
  connected: boolean;
  /** Why it is not connected, or can't go on otherwise; null when all is well. */
  trouble: string | null;
  held: { reports: number; bytes: number };
  missedTicks: number;
  lastReportAtMs: number | null;
  lastDeliveredAtMs: number | null;
  probes: ProbeStatus[];
};

export type Collector = {
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): CollectorStatus;
};

const OFFSET = 'clock-offset-ms';
/** A smaller change of the offset is not worth a write to disk. */
const OFFSET_STEP_MS = 50;
/** The first report waits for the hub, whose time it should carry: an interval, within these bounds. */
const FIRST_CONTACT_MS = { least: 500, most: 2000 } as const;
const FLUSH_MS = 2000;

export function createCollector(options: CollectorOptions): Collector {
  const { site, probes, spool, uplink, clock, logger, intervalMs } = options;
  const key = keyFrom(options.key);
  const kind = options.simulated === true ? 'simulated' : options.kind;
  const read = createReader(probes, Math.floor(intervalMs / 2));
  const shipping = createShipping({ spool, uplink, clock, change });
  const ticker = createTicker({ intervalMs, clock, tick });
  let life: 'new' | 'running' | 'stopped' = 'new';
  let boot: { id: string; prev: Position | null; startedMonoMs: number } | null = null;
  let time = createCorrectedTime(clock, uplink.offsetMs, null);
  let firstContact: NodeJS.Timeout | null = null;
  let seq = 0;
  let statuses: ProbeStatus[] = [];
  let reportedAtMs: number | null = null;
  let diskIsFull: string | null = null;

  /** A full disk is expected and passes; it is told when it begins and when it ends. */
  function change(work: () => void): boolean {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SpoolError && error.code === 'full')) throw error;
      if (diskIsFull === null) logger.error({ site, why: error.message }, 'spool.full');
      diskIsFull = error.message;
      return false;
    }
    if (diskIsFull !== null) logger.info({ site }, 'spool.has-room');
    diskIsFull = null;
    return true;
  }

  async function tick(): Promise<boolean> {
    if (boot === null) throw new Error('the collector has not begun its boot');
    const reading = await read();
    noteFailures(reading.statuses);
    const ts = time.nowMs();
    change(() => spool.trim(ts));
    const position = { boot: boot.id, seq: seq + 1 };
    const dropped = spool.dropped();
    const json = encodeReport(
      {
        site,
        ...position,
        prev: boot.prev,
        held: spool.oldestPosition() ?? position,
        dropped,
        missed: ticker.missed(),
        ts,
        clockOffsetMs: time.offsetMs(),
        monoMs: Math.floor(clock.monoMs() - boot.startedMonoMs),
        intervalMs,
        kind,
        version: options.version,
        ...(Object.keys(options.proposed).length > 0 && { proposed: options.proposed }),
      },
      reading,
    );
    const report = { position, sealed: seal(key, json), madeAtMs: ts };
    // Into the spool before anything is sent: a number that the hub may have seen is never used again.
    if (!change(() => spool.put(report))) return false;
    seq = position.seq;
    reportedAtMs = clock.nowMs();
    shipping.offer(report, dropped);
    keepOffset();
    return true;
  }

  function noteFailures(now: ProbeStatus[]): void {
    for (const status of now) {
      const wasOk = statuses.find(({ name }) => name === status.name)?.ok ?? true;
      if (!status.ok && wasOk) logger.warn({ site, probe: status.name, why: status.error }, 'probe.failed');
      if (status.ok && !wasOk) logger.info({ site, probe: status.name }, 'probe.recovered');
    }
    statuses = now;
  }

  /** So that the next boot stamps well before it reaches its hub. */
  function keepOffset(): void {
    const offset = uplink.offsetMs();
    if (offset === null) return;
    const kept = rememberedOffset();
    if (kept !== null && Math.abs(kept - offset) < OFFSET_STEP_MS) return;
    change(() => spool.keep(OFFSET, String(offset)));
  }

  function rememberedOffset(): number | null {
    const kept = Number(spool.kept(OFFSET) ?? Number.NaN);
    return Number.isSafeInteger(kept) ? kept : null;
  }

  function begin(): void {
    if (firstContact !== null) clearTimeout(firstContact);
    firstContact = null;
    if (life === 'running') ticker.start();
  }

  uplink.onReady(() => {
    if (life !== 'running') return;
    if (firstContact !== null) begin();
    shipping.resume();
  });

  return {
    async start() {
      if (life !== 'new') return;
      life = 'running';
      const { boot: id, prev } = spool.beginBoot();
      boot = { id, prev, startedMonoMs: clock.monoMs() };
      time = createCorrectedTime(clock, uplink.offsetMs, rememberedOffset());
      for (const probe of probes) await probe.start();
      firstContact = setTimeout(
        begin,
        Math.max(FIRST_CONTACT_MS.least, Math.min(FIRST_CONTACT_MS.most, intervalMs)),
      );
      await uplink.start();
      if (uplink.ready) begin();
      logger.info({ site, boot: id, intervalMs }, 'collector.started');
    },
    async stop() {
      if (life !== 'running') return;
      life = 'stopped';
      if (firstContact !== null) clearTimeout(firstContact);
      await ticker.stop();
      await shipping.finish(FLUSH_MS);
      await uplink.stop();
      for (const probe of [...probes].reverse()) await probe.stop();
      logger.info({ site, boot: boot?.id, seq, held: spool.stats().reports }, 'collector.stopped');
    },
    status: () => ({
      site,
      boot: boot?.id ?? '',
      seq,
      connected: uplink.ready,
      trouble: diskIsFull ?? uplink.trouble(),
      held: spool.stats(),
      missedTicks: ticker.missed(),
      lastReportAtMs: reportedAtMs,
      lastDeliveredAtMs: shipping.lastDeliveredAtMs(),
      probes: statuses,
    }),
  };
}
