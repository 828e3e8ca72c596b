import { afterEach, beforeEach, expect, it } from 'vitest';
import { compareVersions } from '../../core/model/signed.ts';
import type { Control } from '../../policy/control.ts';
import { until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, QUICK } from './policy-parts.ts';

const SITES = {
  'test-1': { env: 'test' },
  'test-2': { env: 'test' },
  'test-3': { env: 'test' },
  'prod-1': { env: 'prod' },
};
const ONE_BY_ONE = {
  stages: [
    { virtualSite: 'test', maxConcurrency: 1, verify: QUICK },
    { virtualSite: 'prod', verify: QUICK },
  ],
};
let hub: Awaited<ReturnType<typeof openPolicyParts>>;
let control: Control;

beforeEach(async () => {
  hub = await openPolicyParts(SITES);
  control = await hub.control();
  await hub.settle();
});
afterEach(() => hub.close());

/** The attempt that the sites of a virtual site are given with the generation that is on its way to them, or that they run. */
function attemptAt(virtualSite: string) {
  const found = hub.target('payments')?.assignments.find((one) => one.virtualSite === virtualSite);
  const attempt = (found?.next ?? found?.current)?.attempt;
  if (attempt === undefined) throw new Error(`nothing is assigned at ${virtualSite}`);
  return attempt;
}

/** The documents follow the decision. */
const published = () =>
  until('the target', () => {
    const { version } = hub.rollout()?.spec ?? {};
    return version !== undefined && hub.target('payments')?.version.n === version.n;
  });

it('a raised threshold, a promotion and newer content are no new attempt at what a site refused', async () => {
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await published();
  const first = attemptAt('test');
  const { spec } = await hub.reach('awaiting-promotion');
  await published();
  expect(spec.version.n).toBeGreaterThan(spec.stages[0]?.version?.n ?? 0);
  expect(attemptAt('test')).toEqual(first);
  await hub.ask(move('promote'));
  await hub.reach('completed', 1);
  await hub.ask(allowlist('payments', ['two.example'], ONE_BY_ONE));
  await published();
  expect([attemptAt('test'), attemptAt('prod')]).toEqual([first, first]);
});

it('a retry is one, also for the stages after it and for those that join later, and over a restart of control', async () => {
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await published();
  const first = attemptAt('test');
  hub.fleet.failing.add('test-1');
  await hub.reach('rolled-back');
  hub.fleet.failing.clear();
  expect(await hub.ask(move('retry'))).toMatchObject({ ok: true });
  await published();
  const second = attemptAt('test');
  expect(compareVersions(second, first)).toBeGreaterThan(0);
  await control.stop();
  control = await hub.control();
  await hub.reach('awaiting-promotion');
  expect(attemptAt('test')).toEqual(second);
  await hub.ask(move('promote'));
  await hub.reach('completed', 1);
  await published();
  const { assignments } = hub.target('payments') ?? {};
  expect(assignments?.map(({ current, next }) => [current?.attempt, next])).toEqual([
    [second, null],
    [second, null],
  ]);
});

it('a retry is one where stages have passed, which begins none of them anew', async () => {
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await hub.reach('awaiting-promotion');
  await published();
  const first = attemptAt('test');
  expect(await hub.ask(move('retry'))).toMatchObject({ ok: true });
  await published();
  const second = attemptAt('test');
  expect(compareVersions(second, first)).toBeGreaterThan(0);
  expect(hub.rollout()?.spec).toMatchObject({
    phase: 'awaiting-promotion',
    stages: [{ phase: 'passed' }, {}],
  });
  await hub.ask(move('promote'));
  const { stages } = (await hub.reach('completed', 1)).spec;
  expect(await hub.ask(move('retry'))).toMatchObject({ ok: true });
  await published();
  for (const place of ['test', 'prod']) expect(compareVersions(attemptAt(place), second)).toBeGreaterThan(0);
  const after = hub.rollout()?.spec;
  expect(after).toMatchObject({ phase: 'completed', stage: 1 });
  expect(after?.stages.map(({ startedAtMs }) => startedAtMs)).toEqual(
    stages.map(({ startedAtMs }) => startedAtMs),
  );
});

it('a retry of a later stage is one for the stages before it, too', async () => {
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await hub.reach('awaiting-promotion');
  await hub.ask(move('promote'));
  await published();
  const before = attemptAt('test');
  expect(await hub.ask(move('retry'))).toMatchObject({ ok: true });
  await published();
  expect(compareVersions(attemptAt('test'), before)).toBeGreaterThan(0);
  expect(attemptAt('prod')).toEqual(attemptAt('test'));
});

it('a policy that is made anew under the name of one that was deleted is one', async () => {
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await hub.ask(move('retry'));
  await published();
  const before = attemptAt('test');
  await hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'payments' });
  await until('its absence', () => hub.target('payments')?.absent === true);
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  await until('the policy again', () => hub.target('payments')?.absent === false);
  expect(compareVersions(attemptAt('test'), before)).toBeGreaterThan(0);
});

it('a policy that is deleted and made anew before that was published is one, and is nowhere yet', async () => {
  await hub.ask(allowlist('payments', ['one.example']));
  await hub.reach('awaiting-promotion');
  await hub.ask(move('promote'));
  await hub.reach('completed', 1);
  await published();
  const before = attemptAt('prod');
  const test = { stages: [{ virtualSite: 'test', verify: QUICK }] };
  const answers = await Promise.all([
    hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'payments' }),
    hub.ask(allowlist('payments', ['two.example'], test)),
  ]);
  expect(answers).toMatchObject([
    { ok: true, effect: 'deleted' },
    { ok: true, effect: 'created' },
  ]);
  await until('generation 2', () => hub.target('payments')?.assignments[0]?.next?.generation === 2);
  const { assignments } = hub.target('payments') ?? {};
  expect(assignments).toMatchObject([{ virtualSite: 'test', current: null, next: { generation: 2 } }]);
  expect(compareVersions(attemptAt('test'), before)).toBeGreaterThan(0);
  expect(hub.rollout()?.spec.promoted).toEqual([]);
});

it('content that failed, applied again after another as a retry, is one', async () => {
  const asRetry = { ...allowlist('payments', ['one.example'], ONE_BY_ONE), retry: true };
  await hub.ask(allowlist('payments', ['one.example'], ONE_BY_ONE));
  hub.fleet.failing.add('test-1');
  await hub.reach('rolled-back');
  hub.fleet.failing.clear();
  await hub.ask(allowlist('payments', ['two.example'], ONE_BY_ONE));
  await published();
  const before = attemptAt('test');
  expect(await hub.ask(asRetry)).toMatchObject({ ok: true });
  await published();
  expect(compareVersions(attemptAt('test'), before)).toBeGreaterThan(0);
  await hub.reach('awaiting-promotion');
});
