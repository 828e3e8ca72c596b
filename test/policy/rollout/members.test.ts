import { expect, it } from 'vitest';
import { decideBatch } from '../../../policy/command-batch.ts';
import { Registry } from '../../../policy/registry.ts';
import { assignedOf } from '../../../policy/rollout/assigned.ts';
import { withoutGeneration } from '../../../policy/rollout/members.ts';
import { command, newSite, virtualSite } from '../control-parts.ts';
import { NOON, started } from './rollout-parts.ts';

const ENVS = ['test', 'prod', 'lab'];

it('scores are compared with sites that the generation has not come to: none that were promoted, or are about to be', () => {
  const registry = new Registry();
  for (const wanted of ENVS.flatMap((env) => [
    newSite(`${env}-1`, { env }),
    virtualSite(env, `env=${env}`),
  ])) {
    const value = Buffer.from(JSON.stringify(command(wanted)));
    const record = {
      topic: 'commands',
      partition: 0,
      offset: 0,
      key: 'x',
      value,
      appendedAtMs: NOON,
    } as const;
    for (const change of decideBatch([record], registry).changes) registry.apply(change);
  }
  const first = started();
  expect(withoutGeneration(first, registry)).toEqual(['prod-1', 'lab-1']);
  const assigned = assignedOf(first);
  const { generation } = assigned;
  const promoted = [{ virtualSite: 'test', assigned }];
  const second = { ...first, stage: 1, promoted, stages: [...first.stages].reverse() };
  expect(withoutGeneration({ ...second, phase: 'completed' }, registry)).toEqual(['prod-1', 'lab-1']);
  const both = [...promoted, { virtualSite: 'prod', assigned }];
  expect(withoutGeneration({ ...second, phase: 'completed', promoted: both }, registry)).toEqual(['lab-1']);
  const older = [{ virtualSite: 'prod', assigned: { ...assigned, generation: generation - 1 } }];
  expect(withoutGeneration({ ...first, promoted: older }, registry)).toEqual(['prod-1', 'lab-1']);
});
