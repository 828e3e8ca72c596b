import type { KeyObject } from 'node:crypto';
import { type CorrectedTime, createCorrectedTime } from '../core/corrected-time.ts';
import type { Position, ProbeStatus } from '../core/model/report.ts';
import type { Labels, SiteKind } from '../core/model/site.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Probe } from '../core/ports/probe.ts';
import { type Spool, SpoolError } from '../core/ports/spool.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import { keyFrom, seal } from '../core/seal.ts';
import { createReader, type Reading } from './reading.ts';
import { type Envelope, encodeReport } from './report.ts';
import { Shipping } from './shipping.ts';
import { createTicker, type Ticker } from './ticker.ts';

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
  return new SiteCollector(options);
}

class SiteCollector implements Collector {
  readonly #options: CollectorOptions;
  readonly #key: KeyObject;
  readonly #read: () => Promise<Reading>;
  readonly #shipping: Shipping;
  readonly #ticker: Ticker;
  #life: 'new' | 'running' | 'stopped' = 'new';
  #boot: { id: string; prev: Position | null; startedMonoMs: number; time: CorrectedTime } | null = null;
  #firstContact: NodeJS.Timeout | undefined;
  #seq = 0;
  #statuses: ProbeStatus[] = [];
  #reportedAtMs: number | null = null;
  #diskIsFull: string | null = null;

  constructor(options: CollectorOptions) {
    const { spool, uplink, clock, intervalMs } = options;
    this.#options = options;
    this.#key = keyFrom(options.key);
    this.#read = createReader(options.probes, Math.floor(intervalMs / 2));
    this.#shipping = new Shipping({ spool, uplink, clock, change: (work) => this.#change(work) });
    this.#ticker = createTicker({ intervalMs, clock, tick: () => this.#tick() });
    uplink.onReady(() => {
      if (this.#life !== 'running') return;
      this.#begin();
      this.#shipping.resume();
    });
  }

  async start(): Promise<void> {
    if (this.#life !== 'new') return;
    this.#life = 'running';
    const { site, probes, spool, uplink, clock, logger, intervalMs } = this.#options;
    const { boot: id, prev } = spool.beginBoot();
    const time = createCorrectedTime(clock, uplink.offsetMs, this.#rememberedOffset());
    this.#boot = { id, prev, startedMonoMs: clock.monoMs(), time };
    for (const probe of probes) await probe.start();
    const { least, most } = FIRST_CONTACT_MS;
    this.#firstContact = setTimeout(() => this.#begin(), Math.max(least, Math.min(most, intervalMs)));
    await uplink.start();
    if (uplink.ready) this.#begin();
    logger.info({ site, boot: id, intervalMs }, 'collector.started');
  }

  async stop(): Promise<void> {
    if (this.#life !== 'running') return;
    this.#life = 'stopped';
    const { site, probes, spool, uplink, logger } = this.#options;
    clearTimeout(this.#firstContact);
    await this.#ticker.stop();
    await this.#shipping.finish(FLUSH_MS);
    await uplink.stop();
    for (const probe of [...probes].reverse()) await probe.stop();
    const held = spool.stats().reports;
    logger.info({ site, boot: this.#boot?.id, seq: this.#seq, held }, 'collector.stopped');
  }

  status(): CollectorStatus {
    const { site, spool, uplink } = this.#options;
    return {
      site,
      boot: this.#boot?.id ?? '',
      seq: this.#seq,
      connected: uplink.ready,
      trouble: this.#diskIsFull ?? uplink.trouble(),
      held: spool.stats(),
      missedTicks: this.#ticker.missed(),
      lastReportAtMs: this.#reportedAtMs,
      lastDeliveredAtMs: this.#shipping.lastDeliveredAtMs,
      probes: this.#statuses,
    };
  }

  /** Idempotent, as the ticker is. */
  #begin(): void {
    clearTimeout(this.#firstContact);
    if (this.#life === 'running') this.#ticker.start();
  }

  /** Whether there is one more report. */
  async #tick(): Promise<boolean> {
    const reading = await this.#read();
    this.#noteFailures(reading.statuses);
    const { spool, clock } = this.#options;
    const { envelope, madeAtMs } = this.#envelope();
    const sealed = seal(this.#key, encodeReport(envelope, reading));
    const position = { boot: envelope.boot, seq: envelope.seq };
    const report = { position, sealed, madeAtMs };
    // Into the spool before anything is sent: a number that the hub may have seen is never used again.
    if (!this.#change(() => spool.put(report))) return false;
    this.#seq = position.seq;
    this.#reportedAtMs = clock.nowMs();
    this.#shipping.offer(report, envelope.dropped);
    this.#keepOffset();
    return true;
  }

  #envelope(): { envelope: Envelope; madeAtMs: number } {
    if (this.#boot === null) throw new Error('a collector ticks only after it began its boot');
    const { site, spool, clock, intervalMs, version, proposed } = this.#options;
    const { id, prev, startedMonoMs, time } = this.#boot;
    const ts = time.nowMs();
    this.#change(() => spool.trim(ts));
    const position = { boot: id, seq: this.#seq + 1 };
    const envelope: Envelope = {
      site,
      ...position,
      prev,
      held: spool.oldestPosition() ?? position,
      dropped: spool.dropped(),
      missed: this.#ticker.missed(),
      ts,
      clockOffsetMs: time.offsetMs(),
      monoMs: Math.floor(clock.monoMs() - startedMonoMs),
      intervalMs,
      kind: this.#options.simulated === true ? 'simulated' : this.#options.kind,
      version,
      ...(Object.keys(proposed).length > 0 && { proposed }),
    };
    return { envelope, madeAtMs: ts };
  }

  /** A full disk is expected and passes; it is told when it begins and when it ends. */
  #change(work: () => void): boolean {
    const { site, logger } = this.#options;
    try {
      work();
    } catch (error) {
      if (!(error instanceof SpoolError && error.code === 'full')) throw error;
      if (this.#diskIsFull === null) logger.error({ site, why: error.message }, 'spool.full');
      this.#diskIsFull = error.message;
      return false;
    }
    if (this.#diskIsFull !== null) logger.info({ site }, 'spool.has-room');
    this.#diskIsFull = null;
    return true;
  }

  #noteFailures(statuses: ProbeStatus[]): void {
    const { site, logger } = this.#options;
    for (const status of statuses) {
      const wasOk = this.#statuses.find(({ name }) => name === status.name)?.ok ?? true;
      if (!status.ok && wasOk) logger.warn({ site, probe: status.name, why: status.error }, 'probe.failed');
      if (status.ok && !wasOk) logger.info({ site, probe: status.name }, 'probe.recovered');
    }
    this.#statuses = statuses;
  }

  /** So that the next boot stamps well before it reaches its hub. */
  #keepOffset(): void {
    const { spool, uplink } = this.#options;
    const offset = uplink.offsetMs();
    const kept = this.#rememberedOffset();
    if (offset === null || (kept !== null && Math.abs(kept - offset) < OFFSET_STEP_MS)) return;
    this.#change(() => spool.keep(OFFSET, String(offset)));
  }

  #rememberedOffset(): number | null {
    const kept = Number(this.#options.spool.kept(OFFSET) ?? Number.NaN);
    return Number.isSafeInteger(kept) ? kept : null;
  }
}
