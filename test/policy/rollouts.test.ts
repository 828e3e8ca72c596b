import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreError } from '../../core/ports/store.ts';
import { command, newSite, until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, QUICK, SITES } from './policy-parts.ts';

/** Documents and events follow a command's result. */
const SOON = { timeout: 30_000, interval: 10 };

type Parts = Awaited<ReturnType<typeof openPolicyParts>>;

describe('a rollout', () => {
  let hub: Parts;
  beforeAll(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
  });
  afterAll(() => hub.close());

  it('goes to test, waits there, goes on to prod when promoted, and is told at each step', async () => {
    expect(await hub.ask(allowlist('payments', ['api.example']))).toMatchObject({
      ok: true,
      effect: 'created',
    });
    await expect
      .poll(() => hub.target('payments'), SOON)
      .toMatchObject({ version: { epoch: 1, n: 1 }, absent: false });
    expect(hub.body('specs', 'default/Allowlist/payments/1')).toMatchObject({ generation: 1 });
    await hub.reach('awaiting-promotion');
    const runs = () =>
      hub
        .target('payments')
        ?.assignments.map(({ virtualSite, current, next, threshold }) => [
          virtualSite,
          current,
          next?.generation,
          threshold,
        ]);
    await expect.poll(runs, SOON).toEqual([
      ['test', null, 1, 65_536],
      ['prod', null, undefined, 0],
    ]);
    expect(await hub.ask(move('promote'))).toMatchObject({ ok: true });
    const { spec } = await hub.reach('completed', 1);
    expect(spec.promoted.map(({ virtualSite, assigned }) => [virtualSite, assigned.generation])).toEqual([
      ['test', 1],
      ['prod', 1],
    ]);
    for (const kind of ['policy.created', 'rollout.started', 'rollout.promoted', 'rollout.completed'])
      await until(kind, async () => (await hub.events(kind)).length === 1);
    await expect.poll(() => hub.events('rollout.stage-passed'), SOON).toHaveLength(2);
    expect((await hub.events('rollout.promoted'))[0]).toMatchObject({ by: 'ada' });
  });

  it('whose content is the same is unchanged; another strategy alone starts the same generation anew', async () => {
    expect(await hub.ask(allowlist('payments', ['api.example']))).toMatchObject({ effect: 'unchanged' });
    const strategy = { stages: [{ virtualSite: 'prod', verify: QUICK }] };
    expect(await hub.ask(allowlist('payments', ['api.example'], strategy))).toMatchObject({
      effect: 'updated',
    });
    const { spec } = await hub.reach('completed');
    expect(spec.generation).toBe(1);
  });

  it('that denies what it should not is rolled back, and not applied again without a retry', async () => {
    hub.fleet.failing.add('prod-2');
    await hub.ask(allowlist('payments', ['other.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    const { spec } = await hub.reach('rolled-back', 1);
    expect(spec.reason).toContain('prod-2');
    const runs = () =>
      hub.target('payments')?.assignments.map(({ current, next }) => [current?.generation, next]);
    await expect.poll(runs, SOON).toEqual([
      [2, null],
      [1, null],
    ]);
    await hub.ask(allowlist('payments', ['third.example']));
    expect(await hub.ask(allowlist('payments', ['other.example']))).toMatchObject({ code: 'digest-failed' });
    hub.fleet.failing.clear();
    await hub.reach('awaiting-promotion');
    expect(hub.rollout()?.spec.generation).toBe(3);
  });

  it('is refused while another policy is unverified at the same sites', async () => {
    await hub.ask(allowlist('ledger', ['ledger.example']));
    expect(await hub.ask(allowlist('audit', ['audit.example']))).toMatchObject({ code: 'rollout-busy' });
    await hub.reach('awaiting-promotion', 0, 'ledger');
    expect(await hub.ask(allowlist('audit', ['audit.example']))).toMatchObject({ ok: true });
  });

  it('ends with its policy, which is said to be absent; one of the same name goes on above it', async () => {
    await hub.reach('awaiting-promotion', 0, 'audit');
    expect(await hub.ask({ verb: 'delete', kind: 'VirtualSite', name: 'test' })).toMatchObject({
      code: 'in-use',
    });
    expect(await hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'audit' })).toMatchObject({
      effect: 'deleted',
    });
    const absent = await until('the absent target', () => {
      const target = hub.target('audit');
      return target?.absent === true && target;
    });
    expect(hub.rollout('audit')).toBeUndefined();
    // A site needs no more than that to withdraw it: what it said is not kept.
    const specs = () => [...hub.views.specs.entries()].filter(([key]) => key.includes('/audit/'));
    await expect.poll(() => specs().length, SOON).toBe(0);
    await hub.ask(allowlist('audit', ['audit.example']));
    await expect.poll(() => hub.target('audit')?.version.n ?? 0, SOON).toBeGreaterThan(absent.version.n);
    expect(hub.resource('Allowlist', 'audit').spec.generation).toBe(2);
    await hub.reach('awaiting-promotion', 0, 'audit');
  });

  it('follows its virtual site: another selector or guard is another version of its target', async () => {
    const before = hub.target('audit')?.version.n ?? 0;
    const spec = { selector: 'env=test', guard: { forbidden: ['169.254.169.254/32'] } };
    const document = {
      apiVersion: 'plumbline.io/v1',
      kind: 'VirtualSite',
      metadata: { name: 'test' },
      spec,
    } as const;
    await hub.ask({ verb: 'apply', document });
    const target = await until('the new target', () => {
      const found = hub.target('audit');
      return (found?.version.n ?? 0) > before && found;
    });
    expect(target?.assignments[0]?.guard.forbidden).toEqual(['169.254.169.254/32']);
    expect(hub.rollout('audit')?.spec.version).toEqual(target?.version);
    const values = Array.from({ length: 6000 }, (_, i) => `${'v'.repeat(50)}-${i}`);
    const long = {
      ...spec,
      selector: { matchExpressions: [{ key: 'env', operator: 'In' as const, values }] },
    };
    expect(await hub.ask({ verb: 'apply', document: { ...document, spec: long } })).toMatchObject({
      code: 'too-large',
    });
    const said = { ...spec, selector: 'discovered/os=linux' };
    expect(await hub.ask({ verb: 'apply', document: { ...document, spec: said } })).toMatchObject({
      code: 'invalid-document',
    });
  });
});

describe('what an author may not do', () => {
  let hub: Parts;
  beforeAll(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
    const guard = { approval: 'required' as const, minSoak: '2s', forbidden: ['10.0.0.0/8'], widestCidr: 16 };
    const spec = { selector: 'env=prod', guard };
    const document = {
      apiVersion: 'plumbline.io/v1',
      kind: 'VirtualSite',
      metadata: { name: 'prod' },
      spec,
    } as const;
    await hub.ask({ verb: 'apply', document });
  });
  afterAll(() => hub.close());

  const ask = async (
    wanted: Parameters<typeof command>[0],
    by: string,
    role: 'author' | 'approver' | 'admin' | 'viewer',
  ) => {
    const one = command(wanted, undefined, { by, role });
    await hub.send(one);
    return until('a result', () => hub.resource('CommandResult', one.id)?.spec ?? false);
  };
  const soaked = {
    stages: [
      { virtualSite: 'test', verify: QUICK },
      { virtualSite: 'prod', verify: { ...QUICK, soak: '2s' } },
    ],
  };

  it('is told with the field: unknown virtual sites, broken guards, too short a soak', async () => {
    const nowhere = { stages: [{ virtualSite: 'nowhere' }] };
    expect(await hub.ask(allowlist('payments', ['api.example'], nowhere))).toMatchObject({
      code: 'invalid-document',
      pointer: '/rollout/stages/0/virtualSite',
    });
    expect(await hub.ask(allowlist('payments', ['api.example']))).toMatchObject({
      code: 'guard-rail',
      pointer: '/rollout/stages/1/verify/soak',
    });
    await hub.ask(newSite('cluster-1', { env: 'test' }, { kind: 'kubernetes' }));
    expect(await hub.ask(allowlist('payments', ['api.example'], soaked))).toMatchObject({
      code: 'invalid-document',
      pointer: '/rollout/stages/0/virtualSite',
      detail: expect.stringContaining('unsupportedSites: exclude'),
    });
    const wanted = allowlist('payments', ['api.example'], { ...soaked, unsupportedSites: 'exclude' });
    if (wanted.verb !== 'apply' || wanted.document.kind !== 'Allowlist') throw new Error('no allowlist');
    wanted.document.spec.egress = [{ name: 'inside', to: [{ cidr: '10.1.0.0/24', ports: ['443/TCP'] }] }];
    expect(await hub.ask(wanted)).toMatchObject({ code: 'guard-rail', pointer: '/spec/egress/0/to/0' });
    const refused = await until('the audit of it', async () => {
      const events = await hub.events('command.refused');
      return events.length >= 4 && events;
    });
    expect(refused.map(({ message }) => message).join()).toContain('10.1.0.0/24 reaches 10.0.0.0/8');
  });

  it('is to approve: where the guard asks for it another approver or admin does, and nobody their own', async () => {
    const excluding = { ...soaked, unsupportedSites: 'exclude' as const };
    expect(await ask(allowlist('payments', ['api.example'], excluding), 'vera', 'viewer')).toMatchObject({
      code: 'forbidden',
    });
    expect(await ask(allowlist('payments', ['api.example'], excluding), 'ada', 'author')).toMatchObject({
      ok: true,
    });
    await hub.reach('awaiting-promotion');
    expect(await ask(move('promote'), 'ada', 'author')).toMatchObject({ code: 'forbidden' });
    expect(await ask(move('promote'), 'ada', 'admin')).toMatchObject({ code: 'forbidden' });
    expect(await ask(move('promote'), 'otto', 'author')).toMatchObject({ code: 'forbidden' });
    expect(await ask(move('promote'), 'otto', 'approver')).toMatchObject({ ok: true });
    const { spec } = await hub.reach('completed', 1);
    expect(
      spec.acts.map(({ act, by, role, stage, isApproval }) => [act, by, role, stage, isApproval]),
    ).toEqual([
      ['apply', 'ada', 'author', 0, false],
      ['promote', 'otto', 'approver', 1, true],
    ]);
    const told = await until(
      'who promoted it',
      async () => (await hub.events('rollout.promoted'))[0] ?? false,
    );
    expect(told.message).toBe(
      'Allowlist payments, generation 1 is promoted from test (enforce) to prod (enforce) by otto (approver)',
    );
    expect((await hub.events('policy.created'))[0]?.message).toContain('was created by ada (author)');
  });

  it('is to begin where approval is asked for: the first stage waits too', async () => {
    const prodOnly = { stages: [soaked.stages[1] ?? { virtualSite: 'prod' }] };
    expect(await ask(allowlist('ledger', ['ledger.example'], prodOnly), 'ada', 'author')).toMatchObject({
      ok: true,
    });
    expect(hub.rollout('ledger')?.spec).toMatchObject({ phase: 'awaiting-promotion', stage: 0 });
    expect(hub.target('ledger')).toBeNull();
    expect(await ask(move('promote', 'ledger'), 'otto', 'approver')).toMatchObject({ ok: true });
    await hub.reach('completed', 0, 'ledger');
  });
});

describe('a hub that is restored from a backup', () => {
  let hub: Parts;
  beforeAll(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
  });
  afterAll(() => hub.close());

  it('finds its sites ahead, changes nothing of policy until it is told to, and then goes on above them', async () => {
    const [state] = hub.fleet.states();
    const [policy] = state?.policies ?? [];
    if (state === undefined || policy === undefined) throw new Error('no site has the policy');
    const ahead = { ...policy, seen: { epoch: 1, n: 40 }, generation: 9 };
    await hub.say({ ...state, policies: [ahead] });
    const refused = await until('a refusal', async () => {
      const result = await hub.ask(move('resume'));
      return result.code === 'hub-behind' && result;
    });
    expect(refused.detail).toContain('plumbline restore');
    expect(await hub.ask(newSite('elsewhere'))).toMatchObject({ ok: true });
    expect(await hub.ask({ verb: 'hub.restore' })).toMatchObject({ ok: true });
    const target = await until('a target of the new epoch', () => {
      const found = hub.target('payments');
      return found?.version.epoch === 2 && found;
    });
    expect(target.assignments).not.toEqual([]);
    for (const site of Object.keys(SITES))
      await until('its labels in the new epoch', () => {
        const body = hub.body('targets', `default/Site/${site}`);
        return body?.type === 'site' && body.version.epoch === 2;
      });
    expect(await hub.ask(allowlist('payments', ['new.example']))).toMatchObject({ ok: true });
    expect(hub.resource('Allowlist', 'payments').spec.generation).toBe(10);
    await expect.poll(() => hub.events('hub.restored'), SOON).toHaveLength(1);
  });

  const keyring = (n: number) =>
    until(`keyring ${n}`, () => {
      const body = hub.body('targets', 'default/Keys');
      return body?.type === 'keys' && body.version.n === n && body;
    });

  it('introduces each key by the one before it, and signs everything with the newest', async () => {
    const first = hub.body('targets', 'default/Keys');
    expect(await hub.ask({ verb: 'keys.rotate' })).toMatchObject({ ok: true });
    if (first?.type !== 'keys') throw new Error('no keyring');
    const second = await keyring(first.version.n + 1);
    expect(second.keys).toHaveLength(2);
    expect(second.keys[0]).toEqual(first.keys[0]);
    const keyIdOf = (key: string) =>
      JSON.parse(Buffer.from(hub.views.targets.get(key) ?? '').toString()).keyId;
    expect(keyIdOf(`default/Keys/${second.version.n}`)).toBe(first.keys[0]?.id);
    const newest = second.keys[1]?.id;
    for (const key of ['default/Keys', 'default/Allowlist/payments', 'default/Site/test-1'])
      await until(`${key} by the newest key`, () => keyIdOf(key) === newest);
    expect(await hub.ask({ verb: 'keys.rotate', revoke: true })).toMatchObject({ ok: true });
    expect((await keyring(second.version.n + 1)).keys).toHaveLength(1);
    await expect.poll(() => hub.events('keys.rotated'), SOON).toHaveLength(2);
  });
});

describe('a rollout while the store takes no events', () => {
  it('is decided on once, and told as soon as the store takes them', async () => {
    const hub = await openPolicyParts();
    const { store } = hub.given();
    let isAway = true;
    let refused = 0;
    try {
      await hub.control({
        store: {
          start: () => store.start(),
          stop: () => store.stop(),
          query: (sql, parameters, lane) => store.query(sql, parameters, lane),
          derive: (sql, parameters) => store.derive(sql, parameters),
          async insert(table, rows) {
            const isOfStage = JSON.stringify(rows).includes('rollout.stage-passed');
            if (isAway && table === 'event' && isOfStage) {
              refused++;
              throw new StoreError('unavailable', 'away');
            }
            await store.insert(table, rows);
          },
        },
      });
      await hub.settle();
      await hub.ask(allowlist('payments', ['api.example']));
      await hub.reach('awaiting-promotion');
      await until('a second try', () => refused >= 2);
      expect(await hub.events('rollout.stage-passed')).toEqual([]);
      isAway = false;
      await expect.poll(() => hub.events('rollout.stage-passed'), SOON).toHaveLength(1);
    } finally {
      await hub.close();
    }
  });
});

describe('a stage that has passed and waits for a person', () => {
  it('is still looked at, and what is found is seldom kept; what fails it is', async () => {
    const hub = await openPolicyParts();
    const recorded: string[] = [];
    const { evidence } = hub.fleet;
    const record: typeof evidence.record = async (question, verdict, ...rest) => {
      recorded.push(verdict.verdict);
      await evidence.record(question, verdict, ...rest);
    };
    const lookedAt = () => hub.fleet.asked.length;
    try {
      await hub.control({ evidence: { ...evidence, record } });
      await hub.settle();
      await hub.ask(allowlist('payments', ['api.example']));
      await hub.reach('awaiting-promotion');
      expect(recorded.at(-1)).toBe('pass');
      recorded.length = 0;
      for (let step = 0; step < 60; step++) {
        const before = lookedAt();
        hub.clock.advance(10_000);
        await hub.say(...hub.fleet.states());
        await until('another look', () => lookedAt() > before);
      }
      expect(recorded).toEqual(['pass']);
      hub.fleet.failing.add('test-1');
      await hub.reach('rolled-back');
      expect(recorded).toEqual(['pass', 'fail']);
    } finally {
      await hub.close();
    }
  });
});
