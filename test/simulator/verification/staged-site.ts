import { setImmediate as turn } from 'node:timers/promises';
import { nothingKnown } from '../../../aggregator/known.ts';
import { createMemory, type Memory } from '../../../aggregator/memory.ts';
import { admit, conclude } from '../../../aggregator/pipeline.ts';
import { quarantineRow } from '../../../aggregator/quarantine-row.ts';
import { createRegistry, type Registry } from '../../../aggregator/registry.ts';
import { type Agent, createAgent } from '../../../collectors/agent/agent.ts';
import type { AllowlistSpec } from '../../../core/model/allowlist.ts';
import type { Report } from '../../../core/model/report.ts';
import type { RowOf } from '../../../core/model/rows.ts';
import type { Assigned } from '../../../core/model/signed.ts';
import { digestOf } from '../../../core/policy/digest.ts';
import type { SiteEvidence, StageQuestion } from '../../../core/policy/evidence.ts';
import type { LogRecord } from '../../../core/ports/log.ts';
import type { ProbeMeeting } from '../../../core/ports/workload-prober.ts';
import { DEFAULT_WEIGHTS } from '../../../core/score/weights.ts';
import { addressesOf, createNames } from '../../../simulator/policy/names.ts';
import { type Random, randomFrom } from '../../../simulator/prng.ts';
import { MASTER, recordOf, SPOOL_MAX_AGE_MS, silent, siteResource, viewOf } from '../../aggregator/site.ts';
import { NOW_MS, ScriptedHub } from '../../collectors/agent/scripted-hub.ts';
import { foldEvidence } from '../../parts/evidence-fold.ts';
import { question } from '../../parts/policy-evidence.ts';
import { report } from '../../parts/report.ts';
import { SabotagedPlane } from './sabotaged-plane.ts';

/*
 * A site in simulated time: the real agent before a modelled dataplane with modelled traffic, its reports through the
 * aggregator's own steps into rows, and the evidence that they give about one stage.
 */
export const INTERVAL_MS = 10_000;
export const STAGE_TICK = 8;
const SOAK_MS = 300_000;
/** The first tick at which a healthy site has soaked, and the last that is looked at. */
export const JUDGED_TICKS = [41, 47] as const;

const PROBES: Assigned['probes'] = [
  { name: 'api', to: 'https://api.payments.example', expect: 'allow' },
  { name: 'canary', to: 'https://canary.example', expect: 'deny' },
];
const api = { name: 'payments-api', to: ['https://api.payments.example'] };
const ledger = { name: 'ledger', to: ['tcp://db.shop.example:5432'] };
const workloads = { matchLabels: { app: 'checkout' } };
const BEFORE: AllowlistSpec = {
  workloads,
  egress: [ledger, { ...api, name: 'payments-v1' }, { name: 'mirror', to: ['https://mirror.example'] }],
};
const WANTED: AllowlistSpec = { workloads, egress: [ledger, api] };
export const NARROW: AllowlistSpec = { workloads, egress: [api] };

const CHECKOUT = {
  name: 'checkout',
  labels: { app: 'checkout' },
  binding: { kind: 'user', uid: 1001 },
} as const;
type Sent = { atMs: number; record: LogRecord };

export class StagedSite {
  readonly hub: ScriptedHub;
  readonly plane = new SabotagedPlane();
  readonly random: Random;
  readonly site: string;
  tick = 0;
  /** What a way to sabotage changes. */
  readonly traffic = { api: true, ledger: true, unknown: true, mirror: true };
  mode: 'audit' | 'enforce' = 'enforce';
  spec = WANTED;
  before: 'another' | 'audited' | 'nothing' = 'another';
  deliversTarget = true;
  enabled = true;
  workloads: readonly (typeof CHECKOUT)[] = [CHECKOUT];
  isDisarmed = false;
  meet: ((name: string, meeting: ProbeMeeting) => ProbeMeeting | Promise<ProbeMeeting>) | null = null;
  /** Changes a report before it is sealed; null: it is never made. */
  write: (said: Report) => Report | null = (said) => said;
  /** Changes how it is sent: several, late, or not at all. */
  send: (sent: Sent) => Sent[] = (sent) => [sent];
  asked: Partial<StageQuestion> = {};
  onStage: () => void = () => undefined;

  #agent: Agent | null = null;
  #disk = new Map<string, string>();
  #boot = 1;
  #seq = 0;
  #prev: Report['prev'] = null;
  #waiting: Sent[] = [];
  #version = { epoch: 1, n: 0 };
  readonly #memory: Memory = createMemory(viewOf(), silent);
  readonly #registry: Registry;
  readonly #policies: RowOf<'policy_report'>[] = [];
  readonly #reports: RowOf<'report'>[] = [];
  readonly #refused: RowOf<'quarantine'>[] = [];

  constructor(site: string, seed: string) {
    this.site = site;
    this.random = randomFrom(seed);
    this.hub = new ScriptedHub(site);
    const resource = siteResource(site);
    this.#registry = createRegistry(viewOf({ [resource.key]: resource.value }), MASTER);
  }

  get nowMs(): number {
    return NOW_MS + this.tick * INTERVAL_MS;
  }

  get boot(): string {
    return `${String(this.#boot).padStart(8, '0')}-0a1b2c3d`;
  }

  assigned(generation: number, spec: AllowlistSpec, mode = this.mode): void {
    this.hub.assign('payments', generation, spec, { mode, probes: PROBES });
  }

  async begin(): Promise<void> {
    await this.#startAgent();
    this.hub.connect();
    if (this.before === 'another') this.assigned(41, BEFORE, 'enforce');
    if (this.before === 'audited') this.assigned(42, this.spec, 'audit');
    await settle();
  }

  /** The process ends without a word, and another one begins; with nothing of its own left if so wanted. */
  async restart(keepsDisk = true): Promise<void> {
    this.#prev = { boot: this.boot, seq: this.#seq };
    this.#boot++;
    this.#seq = 0;
    if (!keepsDisk) this.#disk = new Map();
    await this.#startAgent();
    this.hub.connect();
    await settle();
  }

  /** One interval: traffic passes, the agent reads, a report goes out, and what has arrived becomes rows. */
  async interval(): Promise<void> {
    this.tick++;
    if (this.tick === STAGE_TICK) this.#beginStage();
    await settle();
    this.#pass();
    await this.#report();
    const due = this.#waiting.filter(({ atMs }) => atMs <= this.nowMs + INTERVAL_MS / 2);
    this.#waiting = this.#waiting.filter((one) => !due.includes(one));
    for (const { record } of due.sort((a, b) => a.atMs - b.atMs)) this.#take(record);
  }

  question(): StageQuestion {
    return question({
      sites: [this.site],
      generation: 42,
      digest: digestOf(this.spec),
      mode: this.mode,
      version: this.#version,
      startedAtMs: NOW_MS + STAGE_TICK * INTERVAL_MS - 1,
      decidedAtMs: this.nowMs + INTERVAL_MS / 2,
      soakMs: SOAK_MS,
      minHitsTotal: 10,
      newRules: ['payments-api'],
      controlDrop: null,
      ...this.asked,
    });
  }

  evidence(asked = this.question()): SiteEvidence {
    const recorded = { policies: this.#policies, reports: this.#reports, refused: this.#refused };
    return foldEvidence(asked, this.site, recorded);
  }

  #beginStage(): void {
    this.onStage();
    const n = this.hub.n + 1;
    if (this.deliversTarget) this.assigned(42, this.spec);
    this.#version = { epoch: 1, n };
  }

  #pass(): void {
    const to = (host: string, port: number, most: number) => {
      const count = Math.floor(this.random() * (most + 1));
      const [address] = addressesOf(host);
      if (count > 0) this.#attempt(address, port, count);
    };
    if (this.traffic.api) to('api.payments.example', 443, 4);
    if (this.traffic.ledger) to('db.shop.example', 5432, 3);
    if (this.traffic.mirror && this.random() < 0.3) to('mirror.example', 443, 1);
    if (this.traffic.unknown && this.random() < 0.2) this.#attempt('198.51.100.7', 443, 1);
  }

  #attempt(address: string, port: number, count: number, isProbe = false): 'allowed' | 'denied' {
    const place = { workload: 'checkout', direction: 'egress', protocol: 'TCP' } as const;
    return this.plane.attempt({ ...place, address, port, count, isProbe });
  }

  async #report(): Promise<void> {
    const read = await this.#agent?.probe.read(AbortSignal.timeout(60_000)).catch(() => null);
    this.#seq++;
    const ok = read !== null && read !== undefined;
    const said = this.write(
      report({
        site: this.site,
        boot: this.boot,
        seq: this.#seq,
        prev: this.#prev,
        ts: this.nowMs,
        probes: [{ name: 'policy', ok, lost: read?.lost ?? 0 }],
        ...read?.parts,
      }),
    );
    if (said === null) return;
    const appendedAtMs = this.nowMs + 50 + Math.floor(this.random() * 300);
    this.#waiting.push(...this.send({ atMs: appendedAtMs, record: recordOf(said, { appendedAtMs }) }));
  }

  #take(record: LogRecord): void {
    const outcome = conclude(
      admit([record], this.#registry, SPOOL_MAX_AGE_MS),
      nothingKnown(),
      this.#memory,
      DEFAULT_WEIGHTS,
    );
    this.#policies.push(...outcome.policies.filter(({ policy }) => policy === 'payments'));
    this.#reports.push(...outcome.reports);
    this.#refused.push(...outcome.refused.map(quarantineRow));
  }

  async #startAgent(): Promise<void> {
    const disk = this.#disk;
    const names = createNames();
    this.#agent = createAgent({
      site: this.site,
      enabled: this.enabled,
      enforcer: this.plane,
      link: this.hub.link({ effect: (work) => work() }),
      memory: {
        keep: (name, text) => (text === null ? void disk.delete(name) : void disk.set(name, text)),
        kept: (name) => disk.get(name) ?? null,
      },
      workloads: this.workloads,
      endpoints: async () => [{ address: '192.0.2.1', port: 7117, protocol: 'TCP' }],
      compileFaults: () => [],
      names,
      prober: { stop: async () => undefined, probe: ({ name }, target) => this.#probe(name, target) },
      connections: { list: async () => [], cut: async () => false },
      marker: {
        isSet: () => this.isDisarmed,
        set: () => undefined,
        clear: () => undefined,
        watch: () => () => undefined,
      },
      clock: { nowMs: () => this.nowMs, monoMs: () => this.nowMs - NOW_MS + 1000 },
      logger: silent,
      intervalMs: INTERVAL_MS,
      confirmWindowMs: 60_000,
      uid: 0,
      probePorts: { from: 65_400, to: 65_499 },
      random: () => 0.5,
    });
    await this.#agent.start();
  }

  async #probe(
    _workload: string,
    { address, port }: { address: string; port: number },
  ): Promise<ProbeMeeting> {
    const name = addressesOf('api.payments.example').includes(address) ? 'api' : 'canary';
    const verdict = this.#attempt(address, port, 1, true);
    const meeting: ProbeMeeting = {
      outcome: verdict === 'allowed' ? 'connected' : 'refused',
      control: 'connected',
    };
    return this.meet === null ? meeting : this.meet(name, meeting);
  }
}

/** Until everything that waits for nothing but its turn has had it. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await turn();
}
