import { expect, it } from 'vitest';
import type { Issuer } from '../../core/model/resource.ts';
import { decideBatch } from '../../policy/command-batch.ts';
import type { Hold } from '../../policy/losses.ts';
import { NOTHING_PUBLISHED, type PolicyFacts } from '../../policy/policy-facts.ts';
import { Registry } from '../../policy/registry.ts';
import { command, NOON, virtualSite } from './control-parts.ts';
import { allowlist } from './policy-parts.ts';

const AHEAD: Hold = { cause: 'ahead', detail: 'a site is', remedy: 'restore', isEndedByRestore: true };

const ISSUER: Issuer = {
  apiVersion: 'plumbline.io/v1',
  kind: 'Issuer',
  metadata: { name: 'hub', uid: 'hub', createdAtMs: 0, updatedAtMs: 0, revision: 1, updatedBy: 'control' },
  spec: { epoch: 1, keys: [], keysMade: 1, keysKept: 1, generationsAbove: { 'Allowlist/old': 4 } },
};

function carryOut(registry: Registry, facts: PolicyFacts, ...wanted: ReturnType<typeof command>[]) {
  const records = wanted.map((one, offset) => ({
    topic: 'commands' as const,
    partition: 0,
    offset,
    key: 'one',
    value: Buffer.from(JSON.stringify(one)),
    appendedAtMs: NOON,
  }));
  for (const change of decideBatch(records, registry, facts).changes) registry.apply(change);
}

it('keeps no more names than the issuer holds, whatever sites claim, and first those of policies that are here', () => {
  const registry = new Registry();
  registry.apply({ put: ISSUER });
  const setup = [
    virtualSite('test', 'env=test'),
    virtualSite('prod', 'env=prod'),
    allowlist('payments', ['a.b']),
  ];
  carryOut(registry, NOTHING_PUBLISHED, ...setup.map((one) => command(one)));
  const claimed = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`Allowlist/made-up-${i}`, 1]));
  const reported = { ...claimed, 'Allowlist/payments': 7 };
  const facts = { ...NOTHING_PUBLISHED, holds: () => [AHEAD], reported: () => reported };
  carryOut(registry, facts, command({ verb: 'hub.restore' }));
  const { epoch, generationsAbove } = registry.issuer?.spec ?? {};
  expect(epoch).toBe(2);
  expect(Object.keys(generationsAbove ?? {})).toHaveLength(4096);
  expect(generationsAbove).toMatchObject({ 'Allowlist/payments': 7 });
  carryOut(registry, { ...facts, reported: () => ({}) }, command({ verb: 'hub.restore' }));
  expect(registry.issuer?.spec.generationsAbove).toEqual(generationsAbove);
});
