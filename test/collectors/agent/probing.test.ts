import { expect, it } from 'vitest';
import { Probing } from '../../../collectors/agent/probing.ts';
import { Specs } from '../../../collectors/agent/specs.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import { assignedOf } from './scripted-hub.ts';

it('a probe of a name goes to the address that was answered last, and what it met stays told from what workloads do', async () => {
  const texts = new Map<string, string>();
  const specs = new Specs({
    keep: (name, text) => (text === null ? void texts.delete(name) : void texts.set(name, text)),
    kept: (name) => texts.get(name) ?? null,
  });
  const spec = { workloads: {}, egress: [] };
  const body = {
    type: 'spec',
    tenant: 'default',
    kind: 'Allowlist',
    name: 'payments',
    generation: 1,
  } as const;
  specs.keep({ ...body, digest: 'd', spec });
  let addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];
  const probed: string[] = [];
  const probing = new Probing({
    prober: {
      probe: async (_, { address }) => {
        probed.push(address);
        return { outcome: 'refused', control: 'connected' };
      },
      stop: async () => undefined,
    },
    names: {
      known: () => new Map([['canary.example', addresses]]),
      namesOf: () => [],
      onLearned: () => undefined,
      watch: async () => undefined,
      start: async () => undefined,
      stop: async () => undefined,
    },
    specs,
    workloads: [{ name: 'checkout', labels: {}, binding: { kind: 'user', uid: 30_001 } }],
    observe: async () => null,
    clock: systemClock,
  });
  const probes = [{ name: 'canary', to: 'https://canary.example', expect: 'deny' as const }];
  const policy = {
    ...assignedOf(1, spec, { probes }),
    kind: 'Allowlist' as const,
    name: 'payments',
    digest: 'd',
  };
  await probing.run([policy]);
  addresses = ['192.0.2.2', '192.0.2.1'];
  await probing.run([policy]);
  expect(probed).toEqual(['192.0.2.2', '192.0.2.1']);
  const isProbed = (address: string) => probing.isProbed(policy, { address, port: 443, protocol: 'TCP' });
  expect([isProbed('192.0.2.2'), isProbed('192.0.2.1'), isProbed('192.0.2.3')]).toEqual([true, true, false]);
});
