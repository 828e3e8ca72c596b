import { describe, expect, it } from 'vitest';
import { rolloutName } from '../../core/model/rollout.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import { decideBatch } from '../../policy/command-batch.ts';
import { Registry } from '../../policy/registry.ts';
import { command, HOUR_MS, NOON, newSite, secretHash, virtualSite } from './control-parts.ts';
import { allowlist } from './policy-parts.ts';

function record(value: unknown, offset: number, appendedAtMs = NOON): LogRecord {
  return {
    topic: 'commands',
    partition: 0,
    offset,
    key: 'one',
    value: Buffer.from(JSON.stringify(value)),
    appendedAtMs,
  };
}

/** Carries commands out one after the other and gives their results. */
function carryOut(registry: Registry, commands: ReturnType<typeof command>[], appendedAtMs = NOON) {
  const decided = decideBatch(
    commands.map((one, i) => record(one, i, appendedAtMs)),
    registry,
  );
  for (const change of decided.changes) registry.apply(change);
  return commands.map((one) => registry.result(one.id)?.spec);
}

describe('a batch of commands', () => {
  it('lets later ones see what earlier ones did', () => {
    const registry = new Registry();
    const results = carryOut(registry, [
      command(newSite('a')),
      command(newSite('a')),
      command({ verb: 'delete', kind: 'Site', name: 'a' }),
      command({ verb: 'delete', kind: 'Site', name: 'a' }),
      command(newSite('a')),
    ]);
    expect(results.map((result) => result?.code ?? result?.effect)).toEqual([
      'created',
      'already-exists',
      'deleted',
      'not-found',
      'created',
    ]);
    expect(registry.count('Site')).toBe(1);
  });

  it('comes to the same changes whenever it is decided', () => {
    const records = [
      record(command(newSite('a'), 'one'), 1),
      record(command(virtualSite('v', ''), 'two'), 2),
    ];
    expect(decideBatch(records, new Registry())).toEqual(decideBatch(records, new Registry()));
  });
});

describe('a virtual site', () => {
  it('that is applied again as it is stays unchanged, without an event', () => {
    const registry = new Registry();
    carryOut(registry, [command(virtualSite('prod', 'env=prod'))]);
    const again = decideBatch([record(command(virtualSite('prod', 'env=prod'), 'again'), 1)], registry);
    expect(again.events).toEqual([]);
    expect(carryOut(registry, [command(virtualSite('prod', 'env=prod'))])[0]).toMatchObject({
      effect: 'unchanged',
    });
    expect(carryOut(registry, [command(virtualSite('prod', 'env=test'))])[0]).toMatchObject({
      effect: 'updated',
    });
    expect(registry.virtualSite('prod')?.metadata.revision).toBe(2);
  });

  it('has guards that mean something', () => {
    const forbidden = (range: string) =>
      carryOut(new Registry(), [
        command({
          verb: 'apply',
          document: {
            apiVersion: 'plumbline.io/v1',
            kind: 'VirtualSite',
            metadata: { name: 'prod' },
            spec: { selector: 'env=prod', guard: { forbidden: [range] } },
          },
        }),
      ])[0];
    expect(forbidden('169.254.169.254/32')).toMatchObject({ ok: true });
    expect(forbidden('fe80::/10')).toMatchObject({ ok: true });
    for (const range of [
      '169.254.169.254',
      '10.0.0.0/33',
      '10.0.0.0/8/8',
      'here/8',
      '10.0.0.0/',
      '10.0.0.1/8',
    ])
      expect(forbidden(range)).toMatchObject({
        code: 'invalid-document',
        detail: expect.stringContaining('/spec/guard/forbidden/0'),
      });
  });
});

describe('a site', () => {
  it('that is invited anew loses its old key, and keeps its labels', () => {
    const registry = new Registry();
    carryOut(registry, [
      command(newSite('a', { env: 'prod' })),
      command({ verb: 'site.join', site: 'a', secretHash: secretHash('s3cret'), instance: 'machine-1' }),
    ]);
    const before = registry.site('a')?.spec;
    const renewal = newSite('a', {}, { renew: true, joinSecretHash: secretHash('other') });
    expect(carryOut(registry, [command(renewal)])[0]).toMatchObject({ ok: true, effect: 'updated' });
    const after = registry.site('a')?.spec;
    expect(after?.keyEpoch).toBeGreaterThan(before?.keyEpoch ?? 0);
    expect(after?.labels).toEqual({ env: 'prod' });
    expect(after?.join).toEqual({ secretHash: secretHash('other'), expiresAtMs: NOON + HOUR_MS });
    expect(
      carryOut(registry, [
        command({ verb: 'site.join', site: 'a', secretHash: secretHash('s3cret'), instance: 'machine-1' }),
      ])[0],
    ).toMatchObject({ code: 'unauthorized' });
  });

  it('that is removed and added again never comes back to a key epoch it had', () => {
    const registry = new Registry();
    carryOut(registry, [command(newSite('a')), command(newSite('a', {}, { renew: true }))]);
    const before = registry.site('a')?.spec.keyEpoch ?? 0;
    carryOut(registry, [command({ verb: 'delete', kind: 'Site', name: 'a' })], NOON + 1_000);
    carryOut(registry, [command(newSite('a'))], NOON + 2_000);
    expect(registry.site('a')?.spec.keyEpoch).toBeGreaterThan(before);
  });

  it('has had its labels since they last changed', () => {
    const registry = new Registry();
    carryOut(registry, [command(newSite('a', { env: 'prod', region: 'eu' }))]);
    const label = (labels: Record<string, string>, atMs: number) =>
      carryOut(registry, [command({ verb: 'site.label', site: 'a', labels })], atMs)[0]?.effect;
    expect(label({ region: 'eu', env: 'prod' }, NOON + 1_000)).toBe('unchanged');
    expect(registry.site('a')?.spec.labelsSinceMs).toBe(NOON);
    expect(label({ env: 'test' }, NOON + 2_000)).toBe('updated');
    expect(registry.site('a')?.spec.labelsSinceMs).toBe(NOON + 2_000);
  });

  it('gets the labels that several people set, and not more than it may have', () => {
    const registry = new Registry();
    carryOut(registry, [command(newSite('a', { env: 'prod' }))]);
    const label = (labels: Record<string, string | null>) =>
      carryOut(registry, [command({ verb: 'site.label', site: 'a', labels })])[0];
    label({ team: 'blue' });
    label({ tier: 'one', env: null, nothing: null });
    expect(registry.site('a')?.spec.labels).toEqual({ team: 'blue', tier: 'one' });
    const many = (from: number) =>
      Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`l${from + i}`, 'x']));
    expect(label(many(0))).toMatchObject({ effect: 'updated' });
    expect(label(many(40))).toMatchObject({ code: 'bad-request', pointer: '/labels' });
    expect(label({ 'discovered/os': 'linux' })).toMatchObject({ code: 'invalid-document' });
    expect(Object.keys(registry.site('a')?.spec.labels ?? {})).toHaveLength(42);
  });

  it('is not given labels under the prefixes of what it says itself', () => {
    const registry = new Registry();
    expect(carryOut(registry, [command(newSite('a', { 'discovered/os': 'linux' }))])[0]).toMatchObject({
      code: 'invalid-document',
    });
    expect(registry.count('Site')).toBe(0);
  });
});

describe('a token', () => {
  it('is never overwritten', () => {
    const registry = new Registry();
    const create = (tokenHash: string) =>
      command({ verb: 'token.create', name: 'ci', role: 'author', tokenHash });
    expect(carryOut(registry, [create('one'), create('two')]).map((result) => result?.ok)).toEqual([
      true,
      false,
    ]);
    expect(registry.token('ci')?.spec.tokenHash).toBe('one');
  });
});

describe('an allowlist', () => {
  it('is refused at a site that has as many policies as it takes, with the number and what to do', () => {
    const registry = new Registry();
    const test = command(virtualSite('test', 'env=test'));
    const prod = command(virtualSite('prod', 'env=prod'));
    const site = command(newSite('test-1', { env: 'test' }));
    carryOut(registry, [test, prod, site, command(allowlist('first', ['api.example']))]);
    const rollout = registry.rollout(rolloutName('Allowlist', 'first'));
    if (rollout === undefined) throw new Error('the first was refused');
    const another = () => carryOut(registry, [command(allowlist('last', ['api.example']))])[0];
    for (let i = 1; i < 60; i++) {
      if (i === 59) expect(another()).toMatchObject({ code: 'rollout-busy' });
      const name = `other-${i}`;
      const metadata = { ...rollout.metadata, name: rolloutName('Allowlist', name) };
      const spec = { ...rollout.spec, policy: { kind: 'Allowlist' as const, name } };
      registry.apply({ put: { ...rollout, metadata, spec } });
    }
    expect(another()).toMatchObject({
      code: 'too-large',
      detail: expect.stringMatching(
        /site test-1 .* has 60 other policies, and 60 is the most .*; delete one/,
      ),
      pointer: '/rollout/stages/0/virtualSite',
    });
  });
});

describe('a site that has as many policies as it takes', () => {
  /** Sixty at `test`, and one at `extra`. */
  function crowdedHub(): Registry {
    const registry = new Registry();
    const extra = { stages: [{ virtualSite: 'extra' }] };
    carryOut(registry, [
      command(virtualSite('test', 'env=test')),
      command(virtualSite('prod', 'env=prod')),
      command(virtualSite('extra', 'extra=yes')),
      command(newSite('test-1', { env: 'test' })),
      command(newSite('free', { env: 'dev' })),
      command(allowlist('first', ['api.example'])),
      command(allowlist('extra', ['api.example'], extra)),
    ]);
    const rollout = registry.rollout(rolloutName('Allowlist', 'first'));
    if (rollout === undefined) throw new Error('the first was refused');
    for (let i = 1; i < 60; i++) {
      const policy = { kind: 'Allowlist' as const, name: `other-${i}` };
      const metadata = { ...rollout.metadata, name: rolloutName('Allowlist', policy.name) };
      registry.apply({ put: { ...rollout, metadata, spec: { ...rollout.spec, policy } } });
    }
    return registry;
  }
  const label = (site: string, labels: Record<string, string | null>) =>
    command({ verb: 'site.label', site, labels });
  const tooMany = (site: string) => ({
    code: 'too-large',
    detail: expect.stringMatching(`^site ${site} would have 61 policies, and 60 is the most .*; delete`),
  });

  it('does not come to another by its labels, by another selector, or as it is added', () => {
    const registry = crowdedHub();
    const [labelled, selected, added, other] = carryOut(registry, [
      label('test-1', { extra: 'yes' }),
      command(virtualSite('extra', 'env=test')),
      command(newSite('test-2', { env: 'test', extra: 'yes' })),
      label('free', { extra: 'yes' }),
    ]);
    expect([labelled, selected, added]).toMatchObject([
      tooMany('test-1'),
      tooMany('test-1'),
      tooMany('test-2'),
    ]);
    expect(other).toMatchObject({ effect: 'updated' });
  });

  it('may lose some, also when it has too many', () => {
    const registry = crowdedHub();
    const site = registry.site('test-1');
    if (site === undefined) throw new Error('no site');
    registry.apply({
      put: { ...site, spec: { ...site.spec, labels: { env: 'test', extra: 'yes', at: 'x' } } },
    });
    const [kept, freed] = carryOut(registry, [
      label('test-1', { at: null }),
      label('test-1', { extra: null }),
    ]);
    expect([kept, freed]).toMatchObject([{ effect: 'updated' }, { effect: 'updated' }]);
  });
});
