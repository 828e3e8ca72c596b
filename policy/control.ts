import { setTimeout as sleep } from 'node:timers/promises';
import type { Hearing } from '../core/freshness.ts';
import type { Keyring } from '../core/policy/sign.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { Authority } from './authority.ts';
import type { Watermark } from './census-clock.ts';
import { runCommands } from './command-loop.ts';
import type { Evidence } from './evaluation.ts';
import { MembershipKeeper } from './membership-keeper.ts';
import { PolicyDesk } from './policy-desk.ts';
import { type Change, Registry } from './registry.ts';
import { SiteStates } from './site-states.ts';
import { Troubles } from './troubles.ts';
import { Watch } from './watch.ts';

export type Census = {
  count(from: Watermark, nowMs: number): Promise<Watermark>;
  backfillVirtualSite(name: string, nowMs: number): Promise<void>;
};

export type ControlOptions = {
  log: Log;
  table: Table;
  store: Store;
  census: Census;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  hearing: () => Hearing;
  /** The private keys with which policy is signed. */
  keyring: Keyring;
  evidence: Evidence;
  /** Called once when another control has taken over: this one has stopped deciding, and is to be stopped. */
  onFenced?: () => void;
  /**
   * Called once when the table did not take a write: this one has stopped deciding, and is to be stopped and started again,
   * which claims the role anew and reads what is durable.
   */
  onLost?: () => void;
  tickMs?: number;
};

export type Control = { start(): Promise<void>; stop(): Promise<void> };

type Running = {
  authority: Authority;
  states: SiteStates;
  keeper: MembershipKeeper;
  watch: Watch;
  desk: PolicyDesk;
  loops: Promise<unknown>[];
};

/**
 * The control role: the one owner of table `resources`. It carries out commands, and once a second compares what is with
 * what was told: silence, its own blindness, membership, closed minutes.
 */
export function createControl(options: ControlOptions): Control {
  const { clock, logger, tickMs = 1_000 } = options;
  let stopping = new AbortController();
  let running: Running | null = null;

  return {
    async start() {
      if (running !== null) return;
      stopping = new AbortController();
      const { signal } = stopping;
      const registry = new Registry();
      const onFenced = () => {
        if (signal.aborted) return;
        stopping.abort();
        logger.error(
          { remedy: 'another control role has taken over; stop one of the two' },
          'control.fenced',
        );
        options.onFenced?.();
      };
      const onUnavailable = () => {
        if (signal.aborted) return;
        stopping.abort();
        logger.warn({}, 'control.lost');
        options.onLost?.();
      };
      const parts = await assume(options, registry, onFenced, onUnavailable);
      const { authority, keeper, watch, desk } = parts;
      const onChanges = async (changes: readonly Change[]) => {
        noteChanges(changes, keeper);
        await desk.follow(changes);
      };
      const { facts } = desk;
      const commands = runCommands({ ...options, registry, authority, facts, onChanges }, signal);
      const beats = again((nowMs) => watch.beat(nowMs), clock, tickMs, signal);
      const ticks = again((nowMs) => watch.tick(nowMs), clock, tickMs, signal);
      const policy = again((nowMs) => desk.tick(nowMs), clock, tickMs, signal);
      const evaluations = again(() => desk.evaluate(), clock, tickMs, signal);
      const followUps = again(() => desk.followUp(), clock, tickMs, signal);
      running = { ...parts, loops: [commands, beats, ticks, policy, evaluations, followUps] };
      logger.info(
        { sites: registry.sites.size, virtualSites: registry.virtualSites.size },
        'control.started',
      );
    },

    async stop() {
      if (running === null) return;
      const { authority, states, keeper, watch, loops } = running;
      running = null;
      const wasEnded = stopping.signal.aborted;
      stopping.abort();
      await Promise.all(loops);
      await keeper.idle();
      if (!wasEnded) await watch.sayGoodbye(clock.nowMs());
      await states.close();
      await authority.release();
      logger.info({}, 'control.stopped');
    },
  };
}

/** Claims the role and takes up everything where the owner before left it. */
async function assume(
  options: ControlOptions,
  registry: Registry,
  onFenced: () => void,
  onUnavailable: () => void,
) {
  const { table, store, census, clock, logger, metrics, hearing, keyring, evidence } = options;
  const owner = await table.claim('control');
  const authority = new Authority(owner, registry, onFenced, onUnavailable);
  let states: SiteStates | null = null;
  try {
    const resources = await table.view('resources');
    try {
      for (const key of registry.load(resources.entries())) logger.error({ key }, 'resource.unreadable');
    } finally {
      await resources.close();
    }
    states = new SiteStates(await table.view('state'));
    const keeper = new MembershipKeeper({
      store,
      backfill: (name, nowMs) => census.backfillVirtualSite(name, nowMs),
      logger,
      metrics,
    });
    const troubles = new Troubles(store, registry.hub?.spec);
    const watch = new Watch({
      table,
      store,
      census,
      registry,
      authority,
      states,
      troubles,
      keeper,
      logger,
      metrics,
      hearing,
    });
    await watch.begin(clock.nowMs());
    const desk = new PolicyDesk({
      table,
      store,
      registry,
      authority,
      states,
      troubles,
      keyring,
      evidence,
      clock,
      hearing,
      logger,
      metrics,
    });
    await desk.begin();
    return { authority, states, keeper, watch, desk };
  } catch (error) {
    await states?.close();
    await authority.release();
    throw error;
  }
}

function noteChanges(changes: readonly Change[], keeper: MembershipKeeper): void {
  for (const change of changes) {
    if ('put' in change) {
      if (change.put.kind === 'Site') keeper.noteSite(change.put.metadata.name);
      if (change.put.kind === 'VirtualSite') keeper.noteVirtualSite(change.put);
    } else {
      if (change.remove.kind === 'Site') keeper.noteSite(change.remove.name);
      if (change.remove.kind === 'VirtualSite') keeper.noteVirtualSiteGone(change.remove.name);
    }
  }
}

async function again(
  run: (nowMs: number) => Promise<void>,
  clock: Clock,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const startedMonoMs = clock.monoMs();
    await run(clock.nowMs());
    const leftMs = Math.max(0, everyMs - (clock.monoMs() - startedMonoMs));
    await sleep(leftMs, undefined, { signal }).catch(() => undefined);
  }
}
