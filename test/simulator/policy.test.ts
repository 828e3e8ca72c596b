import { readFileSync } from 'node:fs';
import { Compile } from 'typebox/compile';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDocuments } from '../../core/document.ts';
import { Report } from '../../core/model/report.ts';
import type { Incident } from '../../simulator/incidents.ts';
import { ordinaryTraffic, readTraffic, type Traffic } from '../../simulator/policy/traffic.ts';
import { PolicyWorld } from './policy-world.ts';

const reportValidator = Compile(Report);
const workloads = { matchLabels: { app: 'checkout' } };
const both = [
  { name: 'api', to: ['https://api.example'] },
  { name: 'db', to: [{ cidr: '203.0.113.0/24', ports: ['5432/TCP'] }] },
];
const traffic: Traffic = [
  {
    workload: 'checkout',
    labels: { app: 'checkout' },
    destinations: [
      { host: 'api.example', port: 443, perS: 2 },
      { address: '203.0.113.7', port: 5432, perS: 3, only: 'env=prod' },
    ],
  },
];
const incident = (kind: Incident['kind'], forS = 5): Incident[] => [{ kind, share: 1, atS: 8, forS }];

let world: PolicyWorld;
beforeEach(() => {
  world = new PolicyWorld();
});
afterEach(() => world.stop());

describe('a simulated site with a policy', () => {
  it('applies it by the agent of hosts, counts its hits by rule, and says everywhere that it is simulated', async () => {
    await world.start({ p: { env: 'prod' }, t: { env: 'test' } }, traffic);
    await world.pass(3000);
    world.assign(1, { workloads, egress: both });
    await world.pass(5000);
    const hitsOf = (site: string) => world.standing(site)?.rules.map(({ rule, hits }) => [rule, hits > 0]);
    expect(world.standing('p')).toMatchObject({
      phase: 'applied',
      live: true,
      generation: 1,
      workloads: 1,
      denies: 0,
    });
    expect(hitsOf('p')).toEqual([
      ['api', true],
      ['db', true],
    ]);
    expect(hitsOf('t')).toEqual([
      ['api', true],
      ['db', false],
    ]);
    expect(world.part('p')).toMatchObject({ dataplane: 'simulated', enforcement: 'on' });
    const all = [...world.reports('p'), ...world.reports('t')];
    expect(all.every((report) => report.kind === 'simulated' && reportValidator.Check(report))).toBe(true);
    expect(all.every(({ policy }) => policy?.dataplane === 'simulated')).toBe(true);
  });

  it('proves the example policy with the traffic that the documents suggest for it', async () => {
    const [source] = readDocuments('payments', readFileSync('examples/payments.yaml', 'utf8')).documents;
    if (source?.document.kind !== 'Allowlist') throw new Error('the example is no allowlist');
    const { spec, rollout } = source.document;
    await world.start({ p: { env: 'prod' }, t: { env: 'test' } }, ordinaryTraffic('checkout'));
    await world.pass(30_000);
    const probes = rollout.stages.flatMap((stage) => stage.probes ?? []);
    world.assign(1, spec, probes);
    await world.pass(240_000);
    for (const site of ['p', 't']) {
      const said = world.standing(site);
      expect(said).toMatchObject({ phase: 'applied', live: true, denies: 0, unexpectedDenies: 0 });
      expect(said?.rules.filter(({ hits }) => hits === 0)).toEqual([]);
      expect(said?.probes.map(({ name, outcome }) => [name, outcome])).toEqual([
        ['api', 'connected'],
        ['canary', 'refused'],
      ]);
    }
  });

  it('connects elsewhere as soon as the traffic is said to', async () => {
    const [checkout = { workload: 'checkout', destinations: [] }] = traffic;
    await world.start({ p: { env: 'prod' } }, [{ ...checkout, destinations: [] }]);
    world.assign(1, { workloads, egress: both });
    await world.pass(5000);
    const isHit = () => world.standing('p')?.rules.map(({ hits }) => hits > 0);
    expect(isHit()).toEqual([false, false]);
    world.traffic = traffic;
    await world.pass(3000);
    expect(isHit()).toEqual([true, true]);
  });

  it('names as unexpected what a bad generation cuts off, and only where it was used', async () => {
    await world.start({ p: { env: 'prod' }, t: { env: 'test' } }, traffic);
    await world.pass(3000);
    world.assign(1, { workloads, egress: both.slice(0, 1) });
    await world.pass(4000);
    expect(world.standing('t')).toMatchObject({ phase: 'applied', unexpectedDenies: 0, denied: [] });
    const standing = world.standing('p');
    expect(standing?.unexpectedDenies).toBeGreaterThan(0);
    expect(standing?.denied).toMatchObject([{ address: '203.0.113.7', port: 5432, kind: 'unexpected' }]);
    world.assign(2, { workloads, egress: both });
    await world.pass(3000);
    expect(world.standing('p')).toMatchObject({ generation: 2, denies: 0, unexpectedDenies: 0 });
  });

  it('has nothing to do where none of its workloads is selected', async () => {
    await world.start({ p: {} }, ordinaryTraffic('other'));
    world.assign(1, { workloads, egress: [] });
    await world.pass(3000);
    expect(world.standing('p')).toMatchObject({ phase: 'not-applicable' });
  });

  it('has a workload only where the traffic says that it is', async () => {
    const only = ordinaryTraffic('checkout').map((one) => ({ ...one, only: 'env=prod' }));
    await world.start({ p: { env: 'prod' }, t: { env: 'test' } }, only);
    await world.pass(2000);
    expect(world.part('p')).toMatchObject({ workloads: [{ name: 'checkout', labels: { app: 'checkout' } }] });
    expect(world.part('t')).toMatchObject({ workloads: [], flows: [] });
  });
});

describe('incidents of policies', () => {
  async function met(kind: Incident['kind']) {
    await world.start({ p: { env: 'prod' } }, traffic, incident(kind));
    await world.pass(2000);
    world.assign(1, { workloads, egress: both });
    await world.pass(5000);
    expect(world.standing('p')).toMatchObject({ phase: 'applied', generation: 1 });
  }
  const hits = () => world.standing('p')?.rules.reduce((sum, one) => sum + one.hits, 0) ?? 0;

  it('no-traffic: nothing is hit meanwhile', async () => {
    await met('no-traffic');
    await world.pass(2000);
    const before = hits();
    await world.pass(3000);
    expect(hits()).toBe(before);
    await world.pass(4000);
    expect(hits()).toBeGreaterThan(before);
  });

  it('drift: it is shown, and put right once', async () => {
    await met('drift');
    const before = world.reports('p').length;
    await world.pass(5000);
    const seen = world
      .reports('p')
      .slice(before)
      .map(({ policy }) => policy?.policies[0]?.live);
    expect(seen).toContain(false);
    expect(seen.at(-1)).toBe(true);
  });

  it('refuses: the next generation is refused, the one in force stays', async () => {
    await met('refuses');
    await world.pass(2000);
    world.assign(2, { workloads, egress: both.slice(0, 1) });
    await world.pass(2000);
    expect(world.standing('p')).toMatchObject({
      phase: 'refused',
      reason: expect.stringMatching(/simulated/),
    });
    expect(hits()).toBe(0);
    await world.pass(3000);
    world.assign(3, { workloads, egress: both });
    await world.pass(5000);
    expect(world.standing('p')).toMatchObject({ phase: 'applied', generation: 3 });
  });

  it('unconfirmed: what can not be confirmed is taken back', async () => {
    await met('unconfirmed');
    await world.pass(2000);
    world.assign(2, { workloads, egress: both.slice(0, 1) });
    await world.pass(2000);
    expect(world.standing('p')).toMatchObject({ phase: 'hub-away' });
  });

  it('disarmed: the owner lets go, and takes up again', async () => {
    await met('disarmed');
    await world.pass(3000);
    expect(world.part('p')).toMatchObject({ enforcement: 'disarmed' });
    await world.pass(5000);
    expect(world.part('p')).toMatchObject({ enforcement: 'on' });
    expect(world.standing('p')).toMatchObject({ phase: 'applied' });
  });

  it('late-reports: each comes an interval later, and none is lost', async () => {
    await met('late-reports');
    expect(Math.max(...world.ages)).toBeLessThan(500);
    const before = world.ages.length;
    await world.pass(5000);
    expect(Math.max(...world.ages.slice(before))).toBeGreaterThanOrEqual(1000);
    await world.pass(4000);
    expect(world.ages.at(-1)).toBeLessThan(500);
    const seqs = world.reports('p').map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  });
});

describe('a file of traffic', () => {
  it('is read', () => {
    const text = `
- workload: checkout
  labels: {app: checkout}
  only: env=prod
  destinations:
    - {host: api.example, port: 443, perS: 0.5}
    - {address: 203.0.113.7, port: 53, protocol: UDP, perS: 1, only: "region in (eu-west)"}
`;
    expect(readTraffic(text)).toMatchObject({ ok: true, traffic: [{ workload: 'checkout' }] });
  });

  it.each([
    ['- workload: UP\n  destinations: []', '/0/workload'],
    ['- workload: a\n  destinations: [{host: b, port: 1, perS: 1, only: "=x"}]', 'only: character 1'],
    ['- {workload: a, destinations: []}\n- {workload: a, destinations: []}', 'there twice'],
    ['- workload: a\n  destination: []', '/0'],
    ['[', 'not YAML'],
  ])('says what is wrong with %j', (text, said) => {
    const read = readTraffic(text);
    expect(read.ok ? '' : read.reason).toContain(said);
  });
});
