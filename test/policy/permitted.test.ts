import { describe, expect, it } from 'vitest';
import { type Command, ROLES, type VirtualSiteSpec } from '../../core/model/resource.ts';
import { decideBatch } from '../../policy/command-batch.ts';
import { Registry } from '../../policy/registry.ts';
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

describe('an expected revision', () => {
  it('lets the change through only while the resource has it', () => {
    const registry = new Registry();
    expect(ask(registry, virtualSite('x', 'one'), { expectedRevision: 1 })).toMatchObject({
      code: 'revision-conflict',
      detail: expect.stringContaining('is gone'),
    });
    expect(ask(registry, virtualSite('x', 'one'))).toMatchObject({ effect: 'created', revision: 1 });
    expect(ask(registry, virtualSite('x', 'two'), { expectedRevision: 1 })).toMatchObject({
      effect: 'updated',
      revision: 2,
    });
    expect(ask(registry, virtualSite('x', 'three'), { expectedRevision: 1 })).toMatchObject({
      code: 'revision-conflict',
      detail: expect.stringContaining('is at revision 2'),
    });
    expect(ask(registry, virtualSite('x', 'two'), { expectedRevision: 2 })).toMatchObject({
      effect: 'unchanged',
      revision: 2,
    });
    const remove: Command['do'] = { verb: 'delete', kind: 'VirtualSite', name: 'x' };
    expect(ask(registry, remove, { expectedRevision: 1 })).toMatchObject({ code: 'revision-conflict' });
    const removed = ask(registry, remove, { expectedRevision: 2 });
    expect(removed).toEqual({ ok: true, effect: 'deleted' });
  });
});
