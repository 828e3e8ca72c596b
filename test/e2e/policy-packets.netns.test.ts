import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Denied } from '../../core/model/policy-report.ts';
import { PolicyFleet, WORKLOAD_UID } from '../parts/policy-fleet.ts';
import { until } from '../parts/process.ts';
import type { Traffic } from '../parts/traffic.ts';

const SITE = 'site-1';
const API = { host: 'api.payments.example', port: 80 };
/** Where nothing but echoes answer, over TCP and UDP, IPv4 and IPv6. */
const OLD = 7000;
const ECHO = 9000;
const CLOSED = 9001;
/** Connections from before, as they are named below. */
const HELD = ['tcp4', 'tcp6', 'udp4', 'udp6'];

describe('UDP, IPv6 and connections from before, at a site on real packets', { timeout: 180_000 }, () => {
  let fleet: PolicyFleet;
  let workload: Traffic;
  let four: string;
  let six: string;

  beforeAll(async () => {
    fleet = new PolicyFleet();
    four = fleet.nameServer;
    six = fleet.network.addressOf6(50);
    await fleet.start();
    fleet.names({ [API.host]: [fleet.address('api'), 'fd77:0:0:0:0:0:0:51'] });
    const world = fleet.traffic('world', 0);
    await world.act({ deed: 'listen', address: '::', port: OLD });
    for (const address of [four, six])
      for (const port of [OLD, ECHO, CLOSED])
        expect((await world.act({ deed: 'answer', address, port })).outcome).toBe('listening');
    await fleet.addSite(SITE, { env: 'prod' });
    workload = fleet.traffic(SITE, WORKLOAD_UID);
    await fleet.heard();
  }, 180_000);
  afterAll(async () => fleet?.remove(), 60_000);

  const apply = async (egress: readonly string[], probes: readonly string[], established = 'keep') => {
    const text = `apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: prod}
spec: {selector: "env=prod"}
---
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    ${egress.map((rule) => `- ${rule}`).join('\n    ')}
rollout:
  established: ${established}
  stages:
    - {virtualSite: prod, verify: {soak: 2s, minConclusive: 100%}, probes: [${probes.join(', ')}]}
`;
    const { code, said } = await fleet.cli('apply', '-f', fleet.write('payments.yaml', text));
    expect(code, said).toBe(0);
  };
  const send = async (address: string, port: number) =>
    (await workload.act({ deed: 'send', address, port })).outcome;
  const connect = async (address: string, port: number) =>
    (await workload.act({ deed: 'connect', address, port })).outcome;
  /** Waits until the report says that a destination was refused, and gives what it says. */
  const refusedAt = (address: string, port: number, protocol: 'TCP' | 'UDP'): Promise<Denied> =>
    until(`${address}:${port}/${protocol} is shown as refused`, async () =>
      (await fleet.status(SITE, 'payments'))?.denied.find(
        (one) => one.address === address && one.port === port && one.protocol === protocol,
      ),
    );
  const WEB = '{name: web, to: ["http://api.payments.example"]}';
  const echo = () => `{name: echo, to: [{cidr: ${four}/32, ports: [${ECHO}/UDP]}]}`;
  const six6 = () => `{name: six, to: [{cidr: ${six}/128, ports: [80/TCP]}]}`;

  it('is passed by probes and hits over both: DNS over UDP under its rule, a name over IPv6 under that of the name', async () => {
    const rules = [
      `{name: names, to: [{cidr: ${four}/32, ports: [53/UDP]}]}`,
      WEB,
      echo(),
      six6(),
      `{name: old, to: [{cidr: ${four}/32, ports: [${OLD}/TCP, ${OLD}/UDP]}, {cidr: ${six}/128, ports: [${OLD}/TCP, ${OLD}/UDP]}]}`,
    ];
    await apply(rules, [
      `{name: dns, to: "udp://${four}:53", expect: allow}`,
      `{name: echo, to: "udp://${four}:${ECHO}", expect: allow}`,
      `{name: closed, to: "udp://${four}:${CLOSED}", expect: deny}`,
      `{name: closed-six, to: "tcp://[${six}]:8443", expect: deny}`,
    ]);
    await until('it is in force', () => fleet.hasApplied(SITE, 'payments', 1));
    const before = await fleet.hits(SITE, 'payments', 'web');
    expect(await connect(fleet.network.addressOf6(51), 80)).toBe('connected');
    await until('the name has its hit over IPv6', async () => {
      return (await fleet.hits(SITE, 'payments', 'web')) === before + 1;
    });
    expect(await connect(six, 80)).toBe('connected');
    expect(await send(four, ECHO)).toBe('answered');
    expect(await connect(four, OLD)).toBe('connected');
    fleet.shop(SITE, [API]);
    await fleet.rollout('payments', 'complete', ({ phase }) => phase === 'completed');
    const status = await fleet.status(SITE, 'payments');
    for (const rule of ['names', 'web', 'echo', 'six', 'old'])
      expect(status?.rules.find((one) => one.rule === rule)?.hits, rule).toBeGreaterThan(0);
    expect(Object.fromEntries((status?.probes ?? []).map(({ name, ...one }) => [name, one]))).toMatchObject({
      dns: { outcome: 'connected', control: 'connected', denyMoved: false },
      echo: { outcome: 'connected', control: 'connected', denyMoved: false },
      closed: { outcome: 'refused', control: 'connected', denyMoved: true },
      'closed-six': { outcome: 'refused', control: 'connected', denyMoved: true },
    });
    // Its probes' own datagrams are in no list.
    expect(status?.denied).toEqual([]);
  });

  it('refuses a datagram and a connection over IPv6 at once, counted and shown with where they went', async () => {
    const { denies = 0 } = (await fleet.status(SITE, 'payments')) ?? {};
    expect(await send(four, CLOSED)).toMatch(/^E(PERM|ACCES|HOSTUNREACH)$/);
    expect(await send(six, ECHO)).toMatch(/^E(PERM|ACCES|HOSTUNREACH)$/);
    expect(await connect(six, 8443)).toMatch(/^E(CONNREFUSED|ACCES)$/);
    expect(await refusedAt(four, CLOSED, 'UDP')).toMatchObject({
      workload: 'checkout',
      kind: 'new',
      count: 1,
    });
    expect(await refusedAt(six, ECHO, 'UDP')).toMatchObject({ workload: 'checkout', count: 1 });
    expect(await refusedAt(six, 8443, 'TCP')).toMatchObject({ workload: 'checkout', count: 1 });
    expect((await fleet.status(SITE, 'payments'))?.denies).toBe(denies + 3);
  });

  it('keeps connections from before that it would deny now, over each family and protocol, and lists them', async () => {
    for (const name of HELD) {
      const address = name.endsWith('6') ? six : four;
      const deed = name.startsWith('tcp') ? 'connect' : 'converse';
      expect((await workload.act({ deed, address, port: OLD, hold: name })).outcome, name).toMatch(
        /^(connected|answered)$/,
      );
    }
    await apply([WEB, echo(), six6()], []);
    await until('it is in force', () => fleet.hasApplied(SITE, 'payments', 2));
    for (const name of HELD)
      expect((await workload.act({ deed: 'echo', hold: name })).outcome, name).toBe('echoed');
    expect(await connect(four, OLD)).toBe('ECONNREFUSED');
    expect(await send(six, OLD)).toMatch(/^E(PERM|ACCES|HOSTUNREACH)$/);
    const { some } = await listed(4);
    expect(some.toSorted()).toEqual(
      [
        `checkout to ${four} port ${OLD}/TCP`,
        `checkout to ${four} port ${OLD}/UDP`,
        `checkout to ${six} port ${OLD}/TCP`,
        `checkout to ${six} port ${OLD}/UDP`,
      ].toSorted(),
    );
  });

  it('refuses the look-up of a name by a workload whose rules have no resolver, though the collector has it', async () => {
    await fleet.meets(SITE, `${API.host}:${API.port}`, 'failed');
    expect(await refusedAt(four, 53, 'UDP')).toMatchObject({ workload: 'checkout', kind: 'removed' });
    // The collector's own look-ups are exempt, so that the name's rule still lets through.
    expect(await connect(fleet.address('api'), 80)).toBe('connected');
  });

  it('cuts them where it says so: the application is told, and the evidence still lists them when the stage has passed', async () => {
    const ends = HELD.map((name) => workload.act({ deed: 'end', hold: name }));
    const widened = `{name: echo, to: [{cidr: ${four}/32, ports: [${ECHO}/UDP]}, {cidr: 10.9.0.0/24, ports: [443/TCP]}]}`;
    await apply([WEB, widened], [], 'cut');
    for (const [i, end] of ends.entries()) expect((await end).outcome, HELD[i]).toBe('ECONNABORTED');
    const { some } = await listed(4, ': cut');
    expect(some.filter((text) => text.endsWith(': cut')).length).toBe(4);
    expect(await send(four, ECHO)).toBe('answered');
    await fleet.rollout('payments', 'complete', ({ phase }) => phase === 'completed');
    const { code, said } = await fleet.cli('rollout', 'evidence', 'allowlist/payments', '-o', 'json');
    expect(code, said).toBe(0);
    const [newest] = JSON.parse(said.slice(said.indexOf('{'))).decisions;
    expect(newest).toMatchObject({ generation: 3, verdict: 'pass' });
    expect(newest.sites[0].evidence.newest.established).toMatchObject({ total: 4 });
    expect(newest.sites[0].evidence.newest.established.some[0]).toMatch(/: cut$/);
  });

  async function listed(total: number, ending = '') {
    return until(`${total} are listed`, async () => {
      const { established } = (await fleet.status(SITE, 'payments')) ?? {};
      const areAll = established?.total === total && established.some.every((one) => one.endsWith(ending));
      return areAll && established;
    });
  }
});
