import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnforcerError } from '../../../core/ports/enforcer.ts';
import { allowing, assignedOf } from './scripted-hub.ts';
import { SiteWorld } from './site-world.ts';

const A = allowing('198.51.100.0/24');
const B = allowing('198.51.100.0/24', '203.0.113.0/24');
let world: SiteWorld;

beforeEach(async () => {
  world = new SiteWorld();
  await world.boot();
  world.hub.connect();
  await world.interval();
});
afterEach(() => world.stop());

const flow = (address: string, connections = 1) => ({
  workload: 'checkout',
  direction: 'egress' as const,
  address,
  port: 443,
  protocol: 'TCP' as const,
  connections,
});
const restart = async () => {
  await world.stop();
  await world.boot();
  world.hub.connect();
};

describe('counters', () => {
  beforeEach(async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
  });

  it('are those of the dataplane, go on over a restart, and date the first hit', async () => {
    const before = await world.status('payments');
    expect(before).toMatchObject({ firstHitAtMs: null, rules: [{ rule: 'rule-0', hits: 0 }] });
    world.kernel.hit('payments', 'rule-0', 3);
    const after = await world.status('payments');
    expect(after).toMatchObject({ counterEpoch: 0, rules: [{ rule: 'rule-0', hits: 3, probeHits: 0 }] });
    expect(after?.firstHitAtMs).toBe(world.clock.wallMs);
    await restart();
    const again = await world.status('payments');
    expect(again).toMatchObject({ counterEpoch: 0, rules: [{ hits: 3 }] });
    expect(again?.firstHitAtMs).toBe(after?.firstHitAtMs);
    expect(again?.appliedAtMs).toBe(after?.appliedAtMs);
  });

  it('that fall begin a new epoch, also while no agent ran', async () => {
    world.kernel.hit('payments', 'rule-0', 3);
    await world.interval();
    world.kernel.counters.clear();
    expect(await world.status('payments')).toMatchObject({ counterEpoch: 1 });
    world.kernel.hit('payments', 'rule-0', 5);
    await world.interval();
    await world.stop();
    world.kernel.counters.clear();
    await world.boot();
    expect(await world.status('payments')).toMatchObject({ counterEpoch: 2 });
  });

  it('of a new generation are its own', async () => {
    world.kernel.hit('payments', 'rule-0', 3);
    await world.interval();
    world.hub.assign('payments', 2, B);
    expect(await world.status('payments')).toMatchObject({
      generation: 2,
      counterEpoch: 0,
      firstHitAtMs: null,
      rules: [{ hits: 0 }, { hits: 0 }],
    });
  });
});

describe('what was denied', () => {
  it('is unexpected where the workload was let through before, and new where it was not', async () => {
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    await world.interval();
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.kernel.deny('payments', flow('203.0.113.9', 2));
    world.kernel.deny('payments', flow('192.0.2.99', 5));
    const status = await world.status('payments');
    expect(status).toMatchObject({ denies: 7, unexpectedDenies: 2 });
    expect(status?.denied).toEqual([
      expect.objectContaining({ address: '203.0.113.9', kind: 'unexpected', count: 2 }),
      expect.objectContaining({ address: '192.0.2.99', kind: 'new', count: 5 }),
    ]);
  });

  it('is expected where the change took the rule away', async () => {
    world.hub.assign('payments', 1, B);
    await world.interval();
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    await world.interval();
    world.hub.assign('payments', 2, A);
    await world.interval();
    world.kernel.deny('payments', flow('203.0.113.9'));
    expect(await world.status('payments')).toMatchObject({
      unexpectedDenies: 0,
      denied: [{ kind: 'removed' }],
    });
    await restart();
    world.kernel.deny('payments', flow('203.0.113.10'));
    expect((await world.status('payments'))?.denied.map(({ kind }) => kind)).toEqual(['removed', 'new']);
  });

  it.each([
    ['an address', []],
    ['a name', ['old.example']],
  ])('is no fault of the generation after that one, nor of another policy: %s', async (_what, hosts) => {
    for (const host of hosts) world.names.set(host, ['203.0.113.9']);
    const named = hosts.map((host) => ({ name: 'old', to: [`https://${host}`] }));
    const wide = hosts.length === 0 ? B : { ...A, egress: [...(A.egress ?? []), ...named] };
    world.hub.assign('payments', 1, wide);
    await world.interval();
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    world.kernel.flow({ ...flow('198.51.100.7'), verdict: 'allowed' });
    await world.interval();
    world.hub.assign('payments', 2, A);
    await world.interval();
    world.kernel.flows = [];
    world.hub.assign('payments', 3, allowing('192.0.2.0/24'));
    world.hub.assign('search', 1, allowing('192.0.2.0/24'));
    await world.interval();
    world.kernel.deny('payments', flow('203.0.113.9'));
    world.kernel.deny('search', flow('198.51.100.7'));
    const kinds = async (name: string) =>
      (await world.status(name))?.denied.map(({ address, kind }) => `${address} ${kind}`).sort();
    expect(await kinds('payments')).toEqual(['198.51.100.7 removed', '203.0.113.9 new']);
    expect(await kinds('search')).toEqual(['198.51.100.7 unexpected', '203.0.113.9 new']);
  });

  it('is unexpected by its name, when the name has other addresses now', async () => {
    world.names.set('api.example', ['203.0.113.9', '203.0.113.10']);
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    await world.interval();
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.kernel.deny('payments', flow('203.0.113.10'));
    expect((await world.status('payments'))?.denied).toMatchObject([
      { kind: 'unexpected', name: 'api.example' },
    ]);
  });

  it('is remembered for a week, over restarts, and no longer', async () => {
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    world.kernel.flow({ ...flow('203.0.113.10'), verdict: 'allowed' });
    await world.interval();
    await restart();
    world.kernel.flows = [{ ...flow('203.0.113.10'), verdict: 'allowed' }];
    await world.interval(8 * 24 * 3_600_000);
    world.kernel.flow({ ...flow('203.0.113.10'), verdict: 'allowed' });
    world.hub.n += 1;
    await world.interval();
    world.clock.wallMs -= 8 * 24 * 3_600_000;
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.clock.wallMs += 8 * 24 * 3_600_000;
    world.kernel.deny('payments', flow('203.0.113.9'));
    world.kernel.deny('payments', flow('203.0.113.10'));
    const kinds = (await world.status('payments'))?.denied.map(({ address, kind }) => `${address} ${kind}`);
    expect(kinds?.sort()).toEqual(['203.0.113.10 unexpected', '203.0.113.9 new']);
  });

  it('is never hidden, where it is unexpected, by many places that are new', async () => {
    world.kernel.flow({ ...flow('203.0.113.9'), verdict: 'allowed' });
    await world.interval();
    world.hub.assign('payments', 1, A);
    await world.interval();
    for (let i = 0; i < 300; i += 1) world.kernel.deny('payments', flow(`192.0.${2 + (i >> 8)}.${i & 255}`));
    await world.interval();
    world.kernel.deny('payments', flow('203.0.113.9', 4));
    expect(await world.status('payments')).toMatchObject({ denies: 304, unexpectedDenies: 4 });
  });

  it('adds up over changes that begin the figures of the dataplane anew', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.kernel.deny('payments', flow('192.0.2.99', 5));
    await world.interval();
    world.kernel.flows = [];
    world.hub.assign('search', 1, A);
    await world.interval();
    world.kernel.deny('payments', flow('192.0.2.99', 2));
    expect((await world.status('payments'))?.denied).toMatchObject([{ count: 7 }]);
  });
});

describe('drift', () => {
  beforeEach(async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
  });

  it('is shown once and put right', async () => {
    world.kernel.differences = ['rule 3 of chain output is missing'];
    expect(await world.status('payments')).toMatchObject({
      live: false,
      drift: ['rule 3 of chain output is missing'],
    });
    const status = await world.status('payments');
    expect(status).toMatchObject({ live: true });
    expect(status?.drift).toBeUndefined();
  });

  it('that somebody makes again and again is shown all the time, and put right ever more rarely', async () => {
    let repairs = 0;
    world.kernel.isEdited = true;
    world.kernel.rejects = () => {
      repairs += 1;
      return null;
    };
    world.kernel.differences = ['a rule more'];
    for (let i = 0; i < 300; i += 1)
      expect(await world.status('payments')).toMatchObject({ live: false, drift: ['a rule more'] });
    expect(repairs).toBeGreaterThan(4);
    expect(repairs).toBeLessThan(10);
    world.kernel.isEdited = false;
    await world.intervals(400);
    expect(await world.status('payments')).toMatchObject({ live: true });
  });

  it('keeps a new generation from being taken for applied', async () => {
    world.kernel.isEdited = true;
    world.kernel.differences = ['a rule more'];
    world.hub.assign('payments', 2, B);
    await world.intervals(3);
    expect(await world.status('payments')).toMatchObject({ phase: 'applying', generation: 2, live: false });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    world.kernel.isEdited = false;
    world.kernel.differences = [];
    await world.intervals(30);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 2 });
  });

  it('is a dataplane that this machine does not let us use', async () => {
    world.kernel.rejects = () => new EnforcerError('not-permitted', 'run it as root');
    world.hub.assign('payments', 2, B);
    await world.interval();
    expect(await world.status('payments')).toMatchObject({
      phase: 'applying',
      reason: expect.stringMatching(/as root/),
    });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  });
});

describe('probes', () => {
  it('run after a change and now and then, and say whether a deny was counted', async () => {
    world.meeting = ({ address }) => {
      if (address !== '192.0.2.99') return { outcome: 'connected', control: 'connected' };
      const counted = world.kernel.counters.get('payments 1') ?? {
        hits: new Map(),
        denies: 0,
        probeDenies: 0,
      };
      counted.probeDenies += 1;
      world.kernel.counters.set('payments 1', counted);
      return { outcome: 'refused', control: 'connected' };
    };
    world.names.set('canary.example', ['192.0.2.99']);
    world.hub.assign('payments', 1, A, {
      probes: [
        { name: 'api', to: 'tcp://198.51.100.7:443', expect: 'allow' },
        { name: 'canary', to: 'https://canary.example', expect: 'deny' },
        { name: 'nowhere', to: 'https://unknown.example', expect: 'deny' },
      ],
    });
    await world.intervals(2);
    expect(world.probed).toEqual(['checkout 198.51.100.7:443', 'checkout 192.0.2.99:443']);
    expect((await world.status('payments'))?.probes).toMatchObject([
      { name: 'api', outcome: 'connected', control: 'connected', denyMoved: false },
      { name: 'canary', outcome: 'refused', control: 'connected', denyMoved: true },
      { name: 'nowhere', outcome: 'unable', control: 'unable', denyMoved: false },
    ]);
    await world.intervals(6);
    expect(world.probed.length).toBe(4);
  });

  it('that are to be allowed say in audit whether they would be denied', async () => {
    let probeDenies = 0;
    world.meeting = () => {
      probeDenies += 1;
      world.kernel.counters.set('payments 1', { hits: new Map(), denies: 0, probeDenies });
      return { outcome: 'connected', control: 'connected' };
    };
    const probes = [{ name: 'api', to: 'https://192.0.2.77', expect: 'allow' as const }];
    world.hub.assign('payments', 1, A, { mode: 'audit', probes });
    await world.intervals(2);
    expect((await world.status('payments'))?.probes).toMatchObject([
      { name: 'api', outcome: 'connected', denyMoved: true },
    ]);
  });

  it('may change without anything being applied', async () => {
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    const { changes } = world.kernel;
    const probes = [{ name: 'api', to: 'tcp://198.51.100.7:443', expect: 'allow' as const }];
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(1, A, { probes })));
    await world.intervals(8);
    expect(world.probed).toEqual(['checkout 198.51.100.7:443']);
    expect(world.kernel.changes).toBe(changes);
  });
});

describe('a report', () => {
  it('has the flows that changed most, and says how many it leaves out', async () => {
    for (let i = 0; i < 100; i += 1)
      world.kernel.flow({ ...flow(`203.0.113.${i}`, i + 1), verdict: 'allowed' });
    const first = await world.interval();
    expect(first?.flows.length).toBe(64);
    expect(first?.flows[0]).toMatchObject({ address: '203.0.113.99', connections: 100 });
    expect(first?.flowsLeftOut).toBe(36);
    const second = await world.interval();
    expect(second?.flowsLeftOut).toBe(0);
    expect(second?.flows[0]).toMatchObject({ address: '203.0.113.35', connections: 36 });
  });

  it('names every policy, is never larger than a report may be, and counts what it has no room for', async () => {
    const egress = Array.from({ length: 60 }, (_, i) => ({
      name: `${'a-rule-with-a-long-name-'.repeat(2)}${i}`,
      to: [{ cidr: `198.51.${i}.0/24`, ports: ['443/TCP'] }],
    }));
    for (let i = 0; i < 60; i += 1) world.hub.assign(`policy-${i}`, 1, { ...A, egress });
    const unused = await world.intervals(3);
    expect(unused?.policies.map(({ name }) => name)).toEqual(
      world.kernel.policies().map((one) => one.split(' ')[0]),
    );
    expect(unused?.policies.some(({ rulesLeftOut }) => rulesLeftOut !== undefined)).toBe(false);
    for (let i = 0; i < 60; i += 1) for (const { name } of egress) world.kernel.hit(`policy-${i}`, name, 1);
    const used = await world.interval();
    expect(JSON.stringify(used).length).toBeLessThan(256 * 1024 - 20_000);
    expect(used?.policies.length).toBe(60);
    for (const { rules, rulesLeftOut = 0 } of used?.policies ?? [])
      expect([rules.length + rulesLeftOut, rulesLeftOut > 0]).toEqual([60, true]);
  });

  it('says of a policy that is one too many that there is no room for it', async () => {
    for (let i = 0; i <= 60; i += 1) world.hub.assign(`policy-${String(i).padStart(2, '0')}`, 1, A);
    const report = await world.intervals(3);
    expect(report?.policies.length).toBe(61);
    expect(report?.policies.at(-1)).toMatchObject({
      name: 'policy-60',
      phase: 'pending',
      reason: 'too-many: the site holds 60 policies already, which is the most',
    });
  });

  it('has the result of every probe of every workload', async () => {
    await world.stop();
    const workloads = Array.from({ length: 17 }, (_, i) => ({
      name: `checkout-${i}`,
      labels: { app: 'checkout' },
      binding: { kind: 'user' as const, uid: 2000 + i },
    }));
    await world.boot({ workloads });
    const to = 'tcp://198.51.100.7:443';
    const probes = ['one', 'two'].map((name) => ({ name, to, expect: 'allow' as const }));
    for (let i = 0; i < 17; i += 1) world.hub.assign(`policy-${i}`, 1, A, { probes });
    const report = await world.intervals(8);
    expect(report?.policies.map((one) => one.probes.length)).toEqual(Array.from({ length: 17 }, () => 34));
  });
});
