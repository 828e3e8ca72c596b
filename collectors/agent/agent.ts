import type { Envelope } from '../../core/model/signed.ts';
import type { openEnvelope } from '../../core/policy/sign.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Connections } from '../../core/ports/connections.ts';
import {
  type EnforcedPolicy,
  type Enforcer,
  EnforcerError,
  type Workload,
} from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { NameResolver } from '../../core/ports/name-resolver.ts';
import type { Documents, PolicyLink } from '../../core/ports/policy-link.ts';
import type { Probe } from '../../core/ports/probe.ts';
import type { WorkloadProber } from '../../core/ports/workload-prober.ts';
import type { Fault } from '../../core/schema-faults.ts';
import { Dataplane } from './dataplane.ts';
import { accept, hasRoom, holdings, inOrder, withOrphans } from './documents.ts';
import { endpointsNow } from './endpoints-now.ts';
import { Enforcement } from './enforcement.ts';
import { Evidence } from './evidence.ts';
import { fitted, policyPart } from './part.ts';
import { type PlanWorld, planFor } from './plan.ts';
import { isFull, Remembered } from './remembered.ts';
import { Specs } from './specs.ts';
import { type Endpoint, type Memory, withHubMoved, withRefusal } from './state.ts';
import { Watching } from './watching.ts';
import { within } from './within.ts';

/** What says over restarts, and to any process, that the site's owner has let go. */
export type DisarmMarker = {
  isSet(): boolean;
  set(): void;
  clear(): void;
  /** Calls back soon after it changed. Returns what stops it. */
  watch(listener: () => void): () => void;
};

export type AgentOptions = {
  site: string;
  /** Whether the site's owner has turned enforcement on. Off: documents are kept, and nothing else is done. */
  enabled: boolean;
  /** May be absent where enforcement is off and never was on: then the dataplane is never touched. */
  enforcer: Enforcer | null;
  link: PolicyLink;
  memory: Memory;
  workloads: readonly Workload[];
  /** The collector's own ways to its hub and its resolvers, looked up now. Rejects when they can't be. */
  endpoints: () => Promise<Endpoint[]>;
  /** The pure compile's faults for a policy on these workloads. */
  compileFaults: (policy: EnforcedPolicy, workloads: readonly Workload[]) => readonly Fault[];
  names: NameResolver;
  prober: WorkloadProber;
  connections: Connections;
  marker: DisarmMarker;
  /** Corrected by the hub's. */
  clock: Clock;
  logger: Logger;
  intervalMs: number;
  confirmWindowMs: number;
  /** Whose traffic to `endpoints` is exempt. */
  uid: number;
  probePorts: { from: number; to: number };
  random?: () => number;
  /** How signatures are checked, where many sites of one process are to share the work; `openEnvelope` if left out. */
  open?: typeof openEnvelope;
};

export type Agent = {
  /** Puts in force what was confirmed last. To be called before the uplink starts. */
  start(): Promise<void>;
  /** What is in force stays in force. */
  stop(): Promise<void>;
  disarm(): Promise<void>;
  arm(): Promise<void>;
  /** Gives the policy part of each report, and has the agent look after things once an interval. */
  readonly probe: Probe;
};

const ENDPOINTS_EVERY_MS = 60_000;
/** Refusals of documents whose signature holds. */
const SPOKEN_OF: ReadonlySet<string> = new Set(['replayed', 'expired', 'future-semantics']);
/** Envelopes that wait for room on the disk, and documents for room beside others. */
const MAX_WAITING = 256;

export function createAgent(options: AgentOptions): Agent {
  return new PolicyAgent(options);
}

class PolicyAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #specs: Specs;
  readonly #world: PlanWorld;
  readonly #remembered: Remembered;
  readonly #evidence: Evidence;
  readonly #watching: Watching;
  readonly #dataplane: Dataplane | null;
  readonly #enforcement: Enforcement | null;
  #life: 'new' | 'running' | 'stopped' = 'new';
  #isDisarmed = false;
  /** Why what the owner let go of may still be in force; null once it is withdrawn. */
  #clinging: string | null = null;
  #switching: Promise<void> = Promise.resolve();
  #unwatch: () => void = () => undefined;
  #waiting: Envelope[] = [];
  /** Targets heard of on this channel; null between a whole snapshot and the next channel. */
  #heard: Set<string> | null = null;
  /** What there was no room for. */
  #crowded = new Set<string>();
  #ticking: Promise<void> | null = null;
  #endpointsAtMonoMs = Number.NEGATIVE_INFINITY;
  #failure: unknown = null;

  constructor(options: AgentOptions) {
    const { memory, names, workloads, enforcer, site, clock, compileFaults, uid, probePorts } = options;
    this.#options = options;
    this.#specs = new Specs(memory);
    this.#world = { site, specs: this.#specs, workloads, clock, compileFaults };
    this.#remembered = new Remembered(memory, this.#specs);
    this.#evidence = new Evidence(memory);
    const dataplane =
      enforcer === null
        ? null
        : new Dataplane({ enforcer, names, specs: this.#specs, workloads, uid, probePorts });
    this.#dataplane = dataplane;
    this.#enforcement = dataplane === null || !options.enabled ? null : this.#createEnforcement(dataplane);
    this.#watching = new Watching({
      ...options,
      world: this.#world,
      remembered: this.#remembered,
      evidence: this.#evidence,
      dataplane,
    });
    options.link.listen(
      () => this.#meetHub(),
      (documents) => this.#hear(documents),
    );
  }

  readonly probe: Probe = {
    name: 'policy',
    start: async () => undefined,
    stop: async () => undefined,
    read: () => this.#read(),
  };

  async start(): Promise<void> {
    if (this.#life !== 'new') return;
    this.#life = 'running';
    const { marker, enabled, names } = this.#options;
    this.#isDisarmed = enabled && marker.isSet();
    if (!enabled || this.#isDisarmed) await this.#letGo();
    else {
      await names.start();
      await this.#enforcement?.begin().catch((error: unknown) => this.#fail(error));
    }
    if (enabled) this.#unwatch = marker.watch(() => void this.#followMarker());
  }

  async stop(): Promise<void> {
    if (this.#life !== 'running') return;
    this.#life = 'stopped';
    this.#unwatch();
    this.#enforcement?.shut();
    await this.#switching;
    await this.#enforcement?.settled();
    await this.#ticking?.catch(() => undefined);
    await this.#options.prober.stop();
    await this.#options.names.stop();
    this.#guarded(() => this.#watching.save(true));
    await this.#dataplane?.stop();
  }

  async disarm(): Promise<void> {
    this.#options.marker.set();
    await this.#followMarker();
  }

  async arm(): Promise<void> {
    this.#options.marker.clear();
    await this.#followMarker();
  }

  #createEnforcement(dataplane: Dataplane): Enforcement {
    const { link, clock, logger, confirmWindowMs, random = Math.random } = this.#options;
    return new Enforcement({
      world: this.#world,
      remembered: this.#remembered,
      dataplane,
      evidence: this.#evidence,
      link,
      clock,
      logger,
      confirmWindowMs,
      random,
      refreshEndpoints: () => this.#refreshEndpoints(dataplane),
      beforeChange: () => this.#watching.settle(),
      afterChange: () => this.#watching.beginAnew(),
      cutOnce: (policies) => this.#watching.cutOnce(policies),
    });
  }

  #now(): number {
    return Math.max(0, Math.round(this.#options.clock.nowMs()));
  }

  #meetHub(): ReturnType<typeof holdings> {
    this.#heard = new Set();
    this.#crowded.clear();
    this.#enforcement?.hubIsBack();
    return holdings(this.#remembered.state);
  }

  /** Believes what is signed by whom it trusts, keeps it, and has it obeyed. */
  #hear({ envelopes, whole }: Documents): void {
    if (this.#life === 'stopped') return;
    const arrived = [...this.#waiting, ...inOrder(envelopes)].slice(0, MAX_WAITING);
    const isKept = this.#guarded(() => this.#take(arrived));
    this.#waiting = isKept ? [] : arrived;
    if (!isKept) return;
    if (whole && this.#heard !== null) {
      const heard = this.#heard;
      this.#heard = null;
      this.#guarded(() => this.#remembered.update((state) => withOrphans(state, heard)));
      this.#enforcement?.told();
    }
    void this.#reconcile();
  }

  /** Keeps what it believes at once, since each change of the memory is waited for on the disk. Without room, nothing came. */
  #take(envelopes: readonly Envelope[]): void {
    const { site, logger, open } = this.#options;
    let { state } = this.#remembered;
    for (const envelope of envelopes) {
      const accepted = accept(state, envelope, site, this.#now(), open);
      if (accepted.ok) {
        if (accepted.heard !== undefined) this.#heard?.add(accepted.heard);
        if (accepted.spec !== undefined) this.#specs.keep(accepted.spec);
        state = accepted.state;
        continue;
      }
      const { key, code, detail } = accepted;
      logger.warn({ site, key, code, detail }, 'policy.document-refused');
      state = withRefusal(state, { key, code, detail }, this.#now());
      if (code === 'too-many' && this.#crowded.size < MAX_WAITING) this.#crowded.add(key);
      // The hub does speak of it, though not in a way that can be obeyed.
      if (SPOKEN_OF.has(code)) this.#heard?.add(key);
    }
    this.#remembered.update(() => state);
  }

  /** The hub takes what it sent for held: it is told when what was refused has room. */
  #askAgain(): void {
    const { state } = this.#remembered;
    if (![...this.#crowded].some((key) => hasRoom(state, key))) return;
    this.#crowded.clear();
    this.#options.link.tell(holdings(state));
  }

  /** Never rejects: what went wrong is told with the next reading, and tried again then. */
  async #reconcile(): Promise<void> {
    if (this.#life !== 'running' || this.#isDisarmed || this.#enforcement === null) return;
    try {
      await this.#enforcement.reconcile();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Follows the marker, one change after the other. */
  #followMarker(): Promise<void> {
    const { marker, logger, site, names } = this.#options;
    const isSet = marker.isSet();
    if (isSet) this.#enforcement?.shut();
    this.#switching = this.#switching.then(async () => {
      if (this.#life !== 'running') return;
      if (marker.isSet() === this.#isDisarmed) {
        if (this.#clinging !== null) await this.#letGo();
        return;
      }
      this.#isDisarmed = marker.isSet();
      if (this.#isDisarmed) {
        await this.#letGo();
        logger.warn({ site }, 'policy.disarmed');
        return;
      }
      if (this.#options.enabled) this.#clinging = null;
      this.#enforcement?.reopen();
      logger.info({ site }, 'policy.armed');
      await names.start();
      void this.#reconcile();
    });
    return this.#switching;
  }

  /** Leaves nothing of ours in the dataplane; what was confirmed stays in memory. Tried again until it is so. */
  async #letGo(): Promise<void> {
    const { enabled, logger, site } = this.#options;
    if (enabled) this.#enforcement?.shut();
    if (this.#dataplane === null || !this.#remembered.state.touched) return;
    this.#clinging ??= 'being let go';
    try {
      await this.#dataplane.withdraw();
      this.#clinging = null;
      await this.#enforcement?.settled();
      this.#guarded(() =>
        this.#remembered.update((state) => ({ ...state, trial: null, touched: enabled && state.touched })),
      );
    } catch (error) {
      if (!(error instanceof EnforcerError)) this.#fail(error);
      this.#clinging = `not let go yet: ${error instanceof EnforcerError ? error.detail : String(error)}`;
      logger.error({ site, why: this.#clinging }, 'policy.not-withdrawn');
    }
    this.#watching.forget();
  }

  async #read() {
    const { intervalMs } = this.#options;
    // What is told now was seen before then: a dataplane that does not answer must not look like one on which all is well.
    const isBehind = this.#ticking !== null;
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = null;
    });
    await within(intervalMs / 4, this.#ticking, undefined);
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    return { parts: { policy: this.#part() }, lost: this.#watching.lost() + Number(isBehind) };
  }

  async #tick(): Promise<void> {
    if (this.#life !== 'running') return;
    await this.#followMarker();
    if (this.#waiting.length > 0) this.#hear({ envelopes: [], whole: false });
    this.#askAgain();
    if (this.#dataplane === null || this.#enforcement === null || this.#isDisarmed) return;
    const isDue = this.#options.clock.monoMs() - this.#endpointsAtMonoMs >= ENDPOINTS_EVERY_MS;
    if (isDue) void this.#refreshEndpoints(this.#dataplane);
    void this.#reconcile();
    await this.#watching.look(this.#dataplane);
    void this.#watching.lookCloser(this.#dataplane).catch((error: unknown) => this.#fail(error));
  }

  /** Those known stay exempt while they can't be looked up. */
  async #refreshEndpoints(dataplane: Dataplane): Promise<void> {
    const { clock, logger, site } = this.#options;
    this.#endpointsAtMonoMs = clock.monoMs();
    const found = await endpointsNow(this.#options);
    if (found === null || JSON.stringify(found) === JSON.stringify(this.#remembered.state.endpoints)) return;
    try {
      await dataplane.repair(found);
      this.#guarded(() => this.#remembered.update((state) => withHubMoved(state, found)));
    } catch (error) {
      if (!(error instanceof EnforcerError)) this.#fail(error);
      else logger.warn({ site, why: error.detail }, 'policy.endpoints-not-applied');
    }
  }

  /** Runs a change of the memory; false when the disk is full and it did not happen. */
  #guarded(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#options.logger.error({ site: this.#options.site, why: error.message }, 'policy.memory-full');
      return false;
    }
  }

  #fail(error: unknown): void {
    const { logger, site } = this.#options;
    logger.error({ site, err: error }, 'policy.failed');
    this.#failure = error;
  }

  #part() {
    const { enabled, enforcer, workloads } = this.#options;
    const { state } = this.#remembered;
    const isOn = this.#clinging !== null || (enabled && !this.#isDisarmed);
    return fitted(
      policyPart({
        enforcement: isOn ? 'on' : enabled ? 'disarmed' : 'off',
        dataplane: (enabled || isOn) && enforcer !== null ? enforcer.dataplane : 'none',
        workloads,
        state,
        outcomes: planFor(state, this.#world).outcomes,
        present: this.#dataplane?.policies ?? null,
        blocked: this.#enforcement?.blocked ?? null,
        clinging: this.#clinging,
        evidence: this.#evidence,
        ...this.#watching.seen(),
      }),
    );
  }
}
