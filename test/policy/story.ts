/** Control's whole work on policy, with deaths on the way, and where it ends. */
import type { TargetBody } from '../../core/model/signed.ts';
import { desiredState } from '../../core/policy/desired-state.ts';
import { type Table, TableError, type TableName } from '../../core/ports/table.ts';
import { lasting } from '../../main/lasting.ts';
import { createControl } from '../../policy/control.ts';
import { until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, SITES } from './policy-parts.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A sequence of numbers from 0 to 1 that is the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

/** A table whose owner dies at some of its writes, before or after they are durable. */
export function dying(
  table: Table,
  random: () => number,
  share: number,
  onDeath: (table: TableName) => void,
): Table {
  return {
    start: () => table.start(),
    stop: () => table.stop(),
    view: (name) => table.view(name),
    write: (name, entries) => table.write(name, entries),
    async claim(role) {
      const owner = await table.claim(role);
      let isDead = false;
      const die = (name: TableName) => {
        isDead = true;
        onDeath(name);
        return new TableError('unavailable', 'killed');
      };
      return {
        role,
        release: () => owner.release(),
        async write(name, entries) {
          if (isDead) throw new TableError('unavailable', 'dead already');
          // Signs of life are most writes, and nothing hangs on them.
          const isSignOfLife = entries.every(({ key }) => key.startsWith('HubStatus/'));
          const isFatal = !isSignOfLife && random() < share;
          if (isFatal && random() < 0.5) throw die(name);
          await owner.write(name, entries);
          if (isFatal) throw die(name);
        },
      };
    },
  };
}

/**
 * A policy from test to prod, a newer one that fails in prod, a third one that a newer strategy supersedes, and a deletion;
 * one in `share` writes of control kills it.
 */
export async function story(seed: number, share: number) {
  const hub = await openPolicyParts();
  const deaths = new Set<string>();
  const faults: string[] = [];
  const latest = new Map<string, TargetBody>();
  const stop = hub.views.targets.onChange(() => {
    for (const target of hub.targets()) faults.push(...check(target));
  });
  /** What no site may ever be shown: another content under a version it has, an older version, a target without its content. */
  function check(target: TargetBody): string[] {
    const before = latest.get(target.name);
    latest.set(target.name, target);
    const found: string[] = [];
    if (before !== undefined && target.version.n < before.version.n) found.push(`${target.name} went back`);
    const isSame = JSON.stringify(before?.assignments) === JSON.stringify(target.assignments);
    if (before?.version.n === target.version.n && !isSame)
      found.push(`${target.name} ${target.version.n} changed`);
    for (const [id, labels] of Object.entries(SITES)) {
      const { assigned } = desiredState({ id, labels }, target);
      const key = `default/Allowlist/${target.name}/${assigned?.generation}`;
      if (assigned !== null && hub.views.specs.get(key) === undefined) found.push(`${key} is not there`);
    }
    return found;
  }
  const random = randomOf(seed);
  const table = dying(hub.table, random, share, (name) => deaths.add(name));
  const control = lasting((onLost) => createControl({ ...hub.given(), table, onLost }), quiet);
  try {
    await control.start();
    await hub.settle();
    await hub.ask(allowlist('payments', ['one.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    await hub.reach('completed', 1);
    await hub.ask(allowlist('payments', ['one.example', 'two.example']));
    await hub.reach('awaiting-promotion');
    hub.fleet.failing.add('prod-1');
    await hub.ask(move('promote'));
    await hub.reach('rolled-back', 1);
    hub.fleet.failing.clear();
    await hub.ask(allowlist('payments', ['three.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(allowlist('ledger', ['ledger.example']));
    await hub.reach('awaiting-promotion', 0, 'ledger');
    await hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'ledger' });
    const ends = () =>
      hub.target('ledger')?.absent === true &&
      ![...hub.views.specs.entries()].some(([key]) => key.includes('/ledger/')) &&
      hub.target('payments')?.version.n === hub.rollout()?.spec.version.n;
    await until('the end', ends);
    const told = await untilTold(hub);
    return { faults, deaths, told, ...endOf(hub) };
  } finally {
    stop();
    await control.stop();
    await hub.close();
  }
}

type Hub = Awaited<ReturnType<typeof openPolicyParts>>;

async function untilTold(hub: Hub): Promise<string[]> {
  const kinds = [
    'started',
    'stage-started',
    'stage-passed',
    'stage-failed',
    'promoted',
    'rolled-back',
    'completed',
  ];
  return until('the events', async () => {
    const found = await Promise.all(
      kinds.map(async (kind) => `${kind} ${(await hub.events(`rollout.${kind}`)).length}`),
    );
    return (
      found.join() ===
        'started 4,stage-started 6,stage-passed 5,stage-failed 1,promoted 2,rolled-back 1,completed 1' &&
      found
    );
  });
}

/** Where it ended, without what depends on the time it took. */
function endOf(hub: Hub) {
  const spec = hub.rollout()?.spec;
  return {
    rollout: {
      generation: spec?.generation,
      phase: spec?.phase,
      version: spec?.version,
      stages: spec?.stages.map(({ phase, verdict, version }) => ({ phase, verdict, version })),
      promoted: spec?.promoted.map(({ passed, ...one }) => ({ ...one, passed: passed && timeless(passed) })),
      failed: spec?.failedDigests,
    },
    targets: hub.targets().map(({ issuedAtMs: _issued, expiresAtMs: _expires, ...rest }) => rest),
    specs: [...hub.views.specs.entries()].map(([key]) => key).sort(),
  };
}

function timeless<Passed extends { startedAtMs: number; endedAtMs: number }>(passed: Passed) {
  const { startedAtMs: _started, endedAtMs: _ended, ...rest } = passed;
  return rest;
}
