import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PolicyFleet } from '../parts/policy-fleet.ts';
import { until } from '../parts/process.ts';

const SITE = 'site-1';
const API = { host: 'api.payments.example', port: 80 };
const VISITED = `${API.host}:${API.port}`;
const LOCAL = '127.0.0.1';
/** An address of the world's that it has not had. */
const NEW = 60;

/** Its only way to a changing address is its name. */
const documents = (nameServer: string) => `apiVersion: plumbline.io/v1
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
    - {name: second-resolver, to: [{cidr: ${nameServer}/32, ports: [53/UDP]}]}
    - {name: api, to: ["http://${API.host}"]}
rollout:
  stages:
    - {virtualSite: prod, verify: {soak: 2s}}
`;

describe('the local DNS forwarder of a site, by the resolvers of a machine', { timeout: 180_000 }, () => {
  let fleet: PolicyFleet;

  beforeAll(async () => {
    fleet = new PolicyFleet();
    await fleet.start();
    await fleet.addSite(
      SITE,
      { env: 'prod' },
      { config: { dnsForwarder: `${LOCAL}:53` }, resolvers: [LOCAL, fleet.nameServer] },
    );
    await fleet.heard();
    const file = fleet.write('documents.yaml', documents(fleet.nameServer));
    const { code, said } = await fleet.cli('apply', '-f', file);
    expect(code, said).toBe(0);
    await until('it is in force', () => fleet.hasApplied(SITE, 'payments', 1));
    fleet.shop(SITE, [API]);
    await fleet.meets(SITE, VISITED, 'ok');
  }, 180_000);
  afterAll(async () => fleet?.remove(), 60_000);

  /** From now on the name is only there; resolves once the site lets through to it. */
  const moveTo = async (address: string) => {
    fleet.names({ [API.host]: [address] });
    await until(`${address} is let through to`, () => fleet.network.ruleset(SITE).includes(address));
  };

  it('opens each new address of a name before it is answered: no connection is refused', async () => {
    expect(fleet.site(SITE).collector.output()).toContain('dns-forwarder.started');
    const before = fleet.visits(SITE)[VISITED];
    for (const of of ['ledger', 'canary', 'mirror'] as const) {
      await moveTo(fleet.address(of));
      await fleet.meets(SITE, VISITED, 'ok');
    }
    expect(fleet.visits(SITE)[VISITED]).toMatchObject({ refused: before?.refused, failed: before?.failed });
    // All of it by the forwarder, which is on loopback.
    expect(await fleet.hits(SITE, 'payments', 'second-resolver')).toBe(0);
  });

  it('killed with its collector, leaves what it opened, and names to the second resolver, by its rule', async () => {
    const { collector } = fleet.site(SITE);
    await collector.kill('SIGKILL');
    const before = fleet.visits(SITE)[VISITED];
    await fleet.meets(SITE, VISITED, 'ok');
    expect(fleet.visits(SITE)[VISITED]).toMatchObject({ refused: before?.refused });
  });

  it('that can not start costs precision and nothing else: new addresses are opened by looking up now and then', async () => {
    const { collector } = fleet.site(SITE);
    // Its place is taken, over TCP: then it answers over UDP neither, so that resolvers turn to the next at once.
    const other = fleet.traffic(SITE, 0);
    expect((await other.act({ deed: 'listen', address: LOCAL, port: 53 })).outcome).toBe('listening');
    collector.start();
    await until('it says so', () => collector.output().includes('dns-forwarder.not-started'));
    fleet.network.alias('world', NEW);
    await moveTo(fleet.network.addressOf(NEW));
    await fleet.meets(SITE, VISITED, 'ok');
    await until('look-ups count under their rule', async () => {
      return (await fleet.hits(SITE, 'payments', 'second-resolver')) > 0;
    });
  });
});
