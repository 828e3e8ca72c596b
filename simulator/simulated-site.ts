import type { KeyObject } from 'node:crypto';
import { MAX_FRAME_BYTES } from '../core/channel.ts';
import type { Report } from '../core/model/report.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import { seal } from '../core/seal.ts';
import type { Behaviour } from './behaviour.ts';
import { type Held, HeldReports } from './held-reports.ts';
import type { Trouble } from './incidents.ts';
import type { PolicyReading, SitePolicy } from './policy/site-policy.ts';

/** An hour of reports at 10 s; beyond it the oldest are dropped and said to be. */
const MOST_HELD = 360;
const MOST_IN_FRAME = 200;
/** At least what a frame and each report in it take besides their bytes. */
const FRAME_HEAD_BYTES = 8;
/** How far a clock that is off is off. */
const CLOCK_OFF_MS = 7_200_000;

type SiteOptions = {
  site: string;
  key: KeyObject;
  boot: string;
  behaviour: Behaviour;
  uplink: Uplink;
  /** Null where the site has no policy agent. */
  policy: SitePolicy | null;
  clock: Clock;
  intervalMs: number;
  version: string;
};

/** One site that is not there: honest reports, held until the stream has them, newest first, the rest at the hub's pace. */
export class SimulatedSite {
  readonly #given: SiteOptions;
  readonly #held: HeldReports;
  readonly #sending = new Set<Promise<void>>();
  readonly #bootMonoMs: number;
  /** Made, and sent an interval later on purpose. */
  #late: Held | null = null;
  /** Readings under way, one after the other. */
  #reading: Promise<void> = Promise.resolve();
  #seq = 0;
  /** One bit a tick of the last 30: whether it made no report. */
  #missed = 0;
  acked = 0;
  bytes = 0;

  constructor(given: SiteOptions) {
    this.#given = given;
    this.#held = new HeldReports(given.boot, MOST_HELD);
    this.#bootMonoMs = given.clock.monoMs();
  }

  get made(): number {
    return this.#seq;
  }

  get heldCount(): number {
    return this.#held.size;
  }

  get droppedCount(): number {
    return this.#held.droppedCount;
  }

  get connected(): boolean {
    return this.#given.uplink.ready;
  }

  async start(): Promise<void> {
    await this.#given.policy?.start();
    await this.#given.uplink.start();
  }

  /** Ticks went by without a report, because this process was held up. */
  miss(ticks: number): void {
    for (let i = 0; i < Math.min(ticks, 30); i++) this.#missed = ((this.#missed << 1) | 1) & 0x3fff_ffff;
  }

  tick(trouble: Trouble): void {
    this.#missed = (this.#missed << 1) & 0x3fff_ffff;
    const { policy } = this.#given;
    if (policy === null) this.#tell(trouble, null);
    else {
      const reading = policy.read(trouble);
      this.#reading = this.#reading.then(async () => this.#tell(trouble, await reading));
    }
  }

  #tell(trouble: Trouble, reading: PolicyReading | null): void {
    this.#held.makeRoom();
    const report = this.#report(trouble, reading);
    const sealed = seal(this.#given.key, Buffer.from(JSON.stringify(report)));
    const held = { seq: report.seq, sealed, declared: this.#held.dropped(), inFlight: false };
    this.#held.put(held);
    // A silent site is one whose way to the hub is cut: it goes on collecting, and catches up afterwards.
    const late = this.#late;
    this.#late = null;
    if (trouble.silence !== undefined || !this.#given.uplink.ready) return;
    if (late !== null) this.#send('live', [late]);
    if (trouble['late-reports'] !== undefined) {
      this.#late = held;
      return;
    }
    this.#send('live', [held]);
    this.#sendHeld();
  }

  #report(trouble: Trouble, reading: PolicyReading | null): Report {
    const { site, boot, behaviour, uplink, clock, intervalMs, version } = this.#given;
    const seq = ++this.#seq;
    const nowMs = clock.nowMs();
    const ownMs = nowMs + (trouble.clock === undefined ? 0 : CLOCK_OFF_MS);
    const hubOffsetMs = uplink.offsetMs();
    const offsetMs = hubOffsetMs === null ? null : Math.round(hubOffsetMs + nowMs - ownMs);
    const { host, links } = behaviour.step(nowMs, intervalMs, trouble);
    return {
      v: 1,
      site,
      boot,
      seq,
      prev: null,
      held: this.#held.oldest() ?? { boot, seq },
      dropped: [...this.#held.dropped()],
      missed: this.#missed.toString(2).replaceAll('0', '').length,
      ts: Math.round(ownMs + (offsetMs ?? 0)),
      clockOffsetMs: offsetMs,
      monoMs: Math.round(clock.monoMs() - this.#bootMonoMs),
      intervalMs,
      kind: 'simulated',
      version,
      discovered: behaviour.discovered,
      probes: [
        { name: 'host', ok: true, lost: 0 },
        { name: 'links', ok: true, lost: 0 },
        ...(reading === null ? [] : [reading.status]),
      ],
      host,
      links,
      ...(reading?.policy !== undefined && { policy: reading.policy }),
    };
  }

  #sendHeld(): void {
    const { uplink, intervalMs } = this.#given;
    const most = Math.max(1, Math.floor((uplink.backfillPerS() * intervalMs) / 1000));
    const waiting = this.#held.waiting(Math.min(most, MOST_IN_FRAME));
    const fitting: Held[] = [];
    let room = MAX_FRAME_BYTES - FRAME_HEAD_BYTES;
    for (const held of waiting) {
      room -= held.sealed.length + FRAME_HEAD_BYTES;
      if (room < 0) break;
      fitting.push(held);
    }
    if (fitting.length > 0) this.#send('backfill', fitting);
  }

  #send(lane: 'live' | 'backfill', reports: readonly Held[]): void {
    for (const held of reports) held.inFlight = true;
    const sending = this.#given.uplink
      .send(
        lane,
        reports.map(({ sealed }) => sealed),
      )
      .then((outcome) => {
        for (const held of reports) held.inFlight = false;
        if (!outcome.ok) return;
        this.acked += reports.length;
        this.bytes += reports.reduce((sum, { sealed }) => sum + sealed.length, 0);
        this.#held.forget(reports);
      })
      .finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#reading;
    await Promise.all(this.#sending);
  }

  async stop(): Promise<void> {
    await this.#given.policy?.stop();
    await this.#given.uplink.stop();
  }
}
