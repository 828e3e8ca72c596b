import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openKafka } from '../../adapters/kafka/open.ts';
import { lasting } from '../../main/lasting.ts';
import { createControl } from '../../policy/control.ts';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
import { type Engine, until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, SITES } from './policy-parts.ts';
import { dying, randomOf } from './story.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
/** So many, since each costs a second or two until the next one has the role. */
const DEATHS = 3;
let kafka: KafkaPart;

beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await kafka?.stop();
});

/** One client of a cluster of its own; another of the same prefix is another process's. */
function open(prefix: string) {
  const settings = { partitions: 2, replicationFactor: 1, retentionMs: 86_400_000, logger: quiet };
  return openKafka({ brokers: kafka.brokers, prefix, ...settings });
}
/** The broker stamps records by the real clock. */
const engine = (prefix: string): Engine => ({ startMs: Date.now(), open: () => open(prefix) });

it('a rollout is carried on by the control that takes over, and the one before decides nothing more', async () => {
  const prefix = randomUUID();
  const hub = await openPolicyParts(SITES, engine(prefix));
  const there = open(prefix);
  await Promise.all([there.log.start(), there.table.start()]);
  try {
    const fenced: string[] = [];
    await hub.control({ onFenced: () => fenced.push('first') });
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
    expect(hub.target('payments')).toMatchObject({ version: { epoch: 1, n: 1 }, absent: false });
    expect(hub.body('specs', 'default/Allowlist/payments/1')).toMatchObject({ generation: 1 });
    await hub.control({ ...there, onFenced: () => fenced.push('second') });
    expect(await hub.ask(move('promote'))).toMatchObject({ ok: true });
    const { spec } = await hub.reach('completed', 1);
    expect(spec.promoted.map(({ virtualSite, assigned }) => [virtualSite, assigned.generation])).toEqual([
      ['test', 1],
      ['prod', 1],
    ]);
    await until('the first has noticed', () => fenced.length > 0);
    expect(fenced).toEqual(['first']);
  } finally {
    await hub.close();
    await Promise.all([there.log.stop(), there.table.stop()]);
  }
});

it('control that is killed at its writes, and begins again, goes on from what is durable', async () => {
  const hub = await openPolicyParts(SITES, engine(randomUUID()));
  const random = randomOf(23);
  const deaths: string[] = [];
  const table = dying(
    hub.table,
    () => (deaths.length < DEATHS ? random() : 1),
    0.25,
    (name) => deaths.push(name),
  );
  const versions: number[] = [];
  const stop = hub.views.targets.onChange(() => versions.push(hub.target('payments')?.version.n ?? 0));
  const control = lasting((onLost) => createControl({ ...hub.given(), table, onLost }), quiet);
  try {
    await control.start();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    const { spec } = await hub.reach('completed', 1);
    expect(deaths).toHaveLength(DEATHS);
    expect(spec.promoted.map(({ virtualSite, assigned }) => [virtualSite, assigned.generation])).toEqual([
      ['test', 1],
      ['prod', 1],
    ]);
    const target = await until('the newest target', () => {
      const found = hub.target('payments');
      return found?.version.n === spec.version.n && found;
    });
    expect(target.assignments.map(({ current, next }) => [current?.generation, next])).toEqual([
      [1, null],
      [1, null],
    ]);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(hub.body('specs', 'default/Allowlist/payments/1')).toMatchObject({ generation: 1 });
  } finally {
    stop();
    await control.stop();
    await hub.close();
  }
});
