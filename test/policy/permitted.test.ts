import { describe, expect, it } from 'vitest';
import type { Command, VirtualSiteSpec } from '../../core/model/resource.ts';
import { ROLES } from '../../core/model/role.ts';
import { guardsAt, minSoakMs, railsOf } from '../../core/policy/guards.ts';
import { decideBatch } from '../../policy/command-batch.ts';
import { Registry } from '../../policy/registry.ts';
import { targetContent } from '../../policy/rollout/target.ts';
import { command, NOON, newSite, secretHash, virtualSite } from './control-parts.ts';
import { allowlist, move } from './policy-parts.ts';

type Asking = Partial<Omit<Command, 'do'>>;

/** Carries one command out and gives its result. */
function ask(registry: Registry, wanted: Command['do'], asking: Asking = {}) {
  const one = { ...command(wanted), ...asking };
  const value = Buffer.from(JSON.stringify(one));
  const record = { topic: 'commands', partition: 0, offset: 0, key: 'x', value, appendedAtMs: NOON } as const;
  for (const change of decideBatch([record], registry).changes) registry.apply(change);
  return registry.result(one.id)?.spec;
}

function guarded(spec: VirtualSiteSpec): Command['do'] {
  const metadata = { name: 'prod' };
  return { verb: 'apply', document: { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata, spec } };
}

describe('a role', () => {
  const remove = (kind: 'VirtualSite' | 'Site' | 'Token' | 'Allowlist'): Command['do'] => ({
    verb: 'delete',
    kind,
    name: 'x',
  });
  const join = { secretHash: secretHash('s3cret'), instance: 'machine-1' };
  it.each<[string, Command['do'], string[]]>([
    ['apply virtual sites', virtualSite('x', 'env'), ['author', 'admin']],
    ['delete virtual sites', remove('VirtualSite'), ['author', 'admin']],
    ['apply allowlists', allowlist('x', ['api.example']), ['author', 'admin']],
    ['delete allowlists', remove('Allowlist'), ['author', 'admin']],
    ['promote', move('promote', 'x'), ['author', 'approver', 'admin']],
    ['try again', move('retry', 'x'), ['author', 'approver', 'admin']],
    ['pause', move('pause', 'x'), ['author', 'admin']],
    ['resume', move('resume', 'x'), ['author', 'admin']],
    ['roll back', move('rollback', 'x'), ['author', 'admin']],
    ['rotate keys', { verb: 'keys.rotate' }, ['admin']],
    ['restore the hub', { verb: 'hub.restore' }, ['admin']],
    ['delete sites', remove('Site'), ['admin']],
    ['delete tokens', remove('Token'), ['admin']],
    ['add sites', newSite('x'), ['admin']],
    ['invite sites again', newSite('x', {}, { renew: true }), ['admin']],
    ['label sites', { verb: 'site.label', site: 'x', labels: { a: 'b' } }, ['admin']],
    ['join', { verb: 'site.join', site: 'x', ...join }, ['site']],
    ['make tokens', { verb: 'token.create', name: 'x', role: 'viewer', tokenHash: 'h' }, ['admin']],
  ])('may %s or not, as control says', (_what, wanted, allowed) => {
    const may = [...ROLES, 'site' as const].filter(
      (role) => ask(new Registry(), wanted, { role })?.code !== 'forbidden',
    );
    expect(may).toEqual(allowed);
  });

  it('that is not said, as in a command of an older version, may do nothing', () => {
    const { role: _, ...old } = command(newSite('x'));
    const registry = new Registry();
    const value = Buffer.from(JSON.stringify(old));
    const record = {
      topic: 'commands',
      partition: 0,
      offset: 0,
      key: 'x',
      value,
      appendedAtMs: NOON,
    } as const;
    for (const change of decideBatch([record], registry).changes) registry.apply(change);
    expect(registry.result(old.id)?.spec).toMatchObject({
      ok: false,
      code: 'forbidden',
      detail: expect.stringContaining('ask for it again'),
    });
    expect(registry.count('Site')).toBe(0);
  });
});

describe('a guard', () => {
  const author: Asking = { role: 'author', by: 'bob' };
  const guard = { approval: 'required' } as const;

  it('is added, changed and removed by administrators only, and so is whom it is for', () => {
    const registry = new Registry();
    expect(ask(registry, guarded({ selector: 'env', guard }), author)).toMatchObject({
      code: 'forbidden',
      pointer: '/spec/guard',
    });
    expect(ask(registry, guarded({ selector: 'env', guard }))).toMatchObject({ effect: 'created' });
    for (const [spec, pointer] of [
      [{ selector: 'env' }, '/spec/guard'],
      [{ selector: 'env', guard: { approval: 'none' } }, '/spec/guard'],
      [{ selector: 'nobody', guard }, '/spec/selector'],
    ] as const)
      expect(ask(registry, guarded(spec), author)).toMatchObject({ code: 'forbidden', pointer });
    expect(ask(registry, { verb: 'delete', kind: 'VirtualSite', name: 'prod' }, author)).toMatchObject({
      code: 'forbidden',
    });
    expect(ask(registry, guarded({ selector: 'env', guard }), author)).toMatchObject({ effect: 'unchanged' });
    expect(ask(registry, guarded({ selector: 'other', guard }))).toMatchObject({ effect: 'updated' });
    expect(ask(registry, { verb: 'delete', kind: 'VirtualSite', name: 'prod' })).toMatchObject({ ok: true });
  });

  it('leaves virtual sites without one to authors', () => {
    const registry = new Registry();
    expect(ask(registry, guarded({ selector: 'env' }), author)).toMatchObject({ effect: 'created' });
    expect(ask(registry, guarded({ selector: 'other' }), author)).toMatchObject({ effect: 'updated' });
    expect(ask(registry, { verb: 'delete', kind: 'VirtualSite', name: 'prod' }, author)).toMatchObject({
      effect: 'deleted',
    });
  });
});

describe('a guard holds for its sites', () => {
  const author: Asking = { role: 'author', by: 'bob' };
  const guard = { approval: 'required', minSoak: '30m', forbidden: ['10.0.0.0/8'], widestCidr: 16 } as const;
  const stages = (...names: string[]) => ({
    stages: names.map((name) => ({ virtualSite: name, verify: { soak: '1h' } })),
  });

  /** `prod` with a guard, `test` without, and a site in each. */
  function registered() {
    const registry = new Registry();
    ask(registry, newSite('prod-1', { env: 'prod' }));
    ask(registry, newSite('test-1', { env: 'test' }));
    ask(registry, guarded({ selector: 'env=prod', guard: { ...guard, forbidden: [...guard.forbidden] } }));
    ask(registry, virtualSite('test', 'env=test'));
    return registry;
  }
  const phase = (registry: Registry) => registry.rollout('allowlist-payments')?.spec.phase;

  it('at a virtual site of another name that has them', () => {
    const registry = registered();
    expect(ask(registry, virtualSite('prod2', 'env=prod'), author)).toMatchObject({ effect: 'created' });
    const short = allowlist('payments', ['api.example'], {
      stages: [{ virtualSite: 'prod2', verify: { soak: '1m' } }],
    });
    expect(ask(registry, short, author)).toMatchObject({
      code: 'guard-rail',
      pointer: '/rollout/stages/0/verify/soak',
      detail: expect.stringContaining('prod, to which site prod-1 belongs too'),
    });
    const wide = allowlist('payments', ['10.1.2.3'], stages('prod2'));
    expect(ask(registry, wide, author)).toMatchObject({ code: 'guard-rail', pointer: '/spec/egress/0/to/0' });
    expect(ask(registry, allowlist('payments', ['api.example'], stages('prod2')), author)).toMatchObject({
      ok: true,
    });
    expect(phase(registry)).toBe('awaiting-promotion');
    expect(ask(registry, move('promote', 'payments'), author)).toMatchObject({ code: 'forbidden' });
    const approver: Asking = { role: 'approver', by: 'eve' };
    expect(ask(registry, move('promote', 'payments'), approver)).toMatchObject({ ok: true });
    const rollout = registry.rollout('allowlist-payments');
    if (rollout === undefined) throw new Error('there is no rollout');
    expect(targetContent(rollout.spec, registry).assignments.map((one) => one.guard)).toEqual([
      { forbidden: ['10.0.0.0/8'], widestCidr: 16 },
    ]);
  });

  it('united with the guards of all others that have them', () => {
    const registry = registered();
    const also = { approval: 'none', minSoak: '2h', forbidden: ['192.168.0.0/16'], widestCidr: 24 } as const;
    const spec = { selector: 'env', guard: { ...also, forbidden: [...also.forbidden] } };
    const metadata = { name: 'everywhere' };
    const document = { apiVersion: 'plumbline.io/v1' as const, kind: 'VirtualSite' as const, metadata, spec };
    ask(registry, { verb: 'apply', document });
    const held = guardsAt('prod', registry);
    expect(held.map(({ virtualSite: name }) => name)).toEqual(['prod', 'everywhere']);
    expect(railsOf(held)).toEqual({ forbidden: ['10.0.0.0/8', '192.168.0.0/16'], widestCidr: 24 });
    expect(minSoakMs(held)).toBe(2 * 3_600_000);
    expect(guardsAt('test', registry).map(({ virtualSite: name }) => name)).toEqual(['everywhere']);
  });

  it('when an author would widen a virtual site over them, or take them out, that a policy goes to', () => {
    const registry = registered();
    expect(ask(registry, virtualSite('test', 'env in (test,lab)'), author)).toMatchObject({ ok: true });
    ask(registry, allowlist('payments', ['api.example'], stages('test')), author);
    expect(ask(registry, virtualSite('test', 'env in (test,dev)'), author)).toMatchObject({ ok: true });
    const widened = virtualSite('test', 'env in (test,prod)');
    expect(ask(registry, widened, author)).toMatchObject({ code: 'forbidden', pointer: '/spec/selector' });
    expect(ask(registry, widened)).toMatchObject({ effect: 'updated' });
    expect(ask(registry, virtualSite('test', 'env=test'), author)).toMatchObject({ code: 'forbidden' });
  });

  it('when an author would delete the policy that runs there', () => {
    const registry = registered();
    const remove: Command['do'] = { verb: 'delete', kind: 'Allowlist', name: 'payments' };
    ask(registry, allowlist('payments', ['api.example'], stages('prod')), author);
    ask(registry, move('promote', 'payments'));
    expect(ask(registry, remove, author)).toMatchObject({
      code: 'forbidden',
      detail: expect.stringMatching(/payments runs in virtual site prod.*the role admin/),
    });
    expect(ask(registry, remove)).toMatchObject({ effect: 'deleted' });
    ask(registry, allowlist('payments', ['api.example'], stages('test', 'prod')), author);
    expect(ask(registry, remove, author)).toMatchObject({ effect: 'deleted' });
  });
});

describe('an expected revision', () => {
  it('lets the change through only while the resource is that one and has it', () => {
    const registry = new Registry();
    const other = { uid: 'a-1', revision: 1 };
    expect(ask(registry, virtualSite('x', 'one'), { expected: other })).toMatchObject({
      code: 'revision-conflict',
      detail: expect.stringContaining('is gone'),
    });
    const created = ask(registry, virtualSite('x', 'one'));
    expect(created).toMatchObject({ effect: 'created', stands: { revision: 1 } });
    const uid = created?.stands?.uid ?? '';
    const expected = (revision: number) => ({ expected: { uid, revision } });
    expect(ask(registry, virtualSite('x', 'two'), { expected: other })).toMatchObject({
      code: 'revision-conflict',
      detail: expect.stringContaining('made again'),
    });
    expect(ask(registry, virtualSite('x', 'two'), expected(1))).toMatchObject({
      effect: 'updated',
      stands: { uid, revision: 2 },
    });
    expect(ask(registry, virtualSite('x', 'three'), expected(1))).toMatchObject({
      code: 'revision-conflict',
      detail: expect.stringContaining('is at revision 2'),
    });
    expect(ask(registry, virtualSite('x', 'two'), expected(2))).toMatchObject({
      effect: 'unchanged',
      stands: { uid, revision: 2 },
    });
    const remove: Command['do'] = { verb: 'delete', kind: 'VirtualSite', name: 'x' };
    expect(ask(registry, remove, expected(1))).toMatchObject({ code: 'revision-conflict' });
    const removed = ask(registry, remove, expected(2));
    expect(removed).toEqual({ ok: true, effect: 'deleted' });
  });
});
