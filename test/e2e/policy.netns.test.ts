import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADDRESSES, PolicyFleet } from '../parts/policy-fleet.ts';
import { until } from '../parts/process.ts';

const TEST = ['test-1', 'test-2'];
const PROD = ['prod-1', 'prod-2', 'prod-3', 'prod-4'];
const API = { host: 'api.payments.example', port: 80 };
const LEDGER = { host: 'ledger.example', port: 8443 };

const VIRTUAL_SITES = `
apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: test}
spec: {selector: "env=test"}
---
apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: prod}
spec: {selector: "env=prod"}
`;

/** What the author writes; \`rules\` are lines of egress. */
function payments(nameServer: string, ...rules: string[]): string {
  return `
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    - {name: names, to: [{cidr: ${nameServer}/32, ports: [53/UDP]}]}
    ${['- {name: payments-api, to: ["http://api.payments.example"]}', ...rules].join('\n    ')}
rollout:
  stages:
    - virtualSite: test
      verify: {soak: 3s, minHits: 1, minHitsTotal: 4, minConclusive: 100%}
      probes:
        - {name: api, to: "http://api.payments.example", expect: allow}
        - {name: canary, to: "http://canary.example", expect: deny}
    - virtualSite: prod
      verify: {soak: 3s, minHits: 1, minConclusive: 100%}
  onFailure: rollback
`;
}

describe('an allowlist from test to prod on six sites', { timeout: 180_000 }, () => {
  let fleet: PolicyFleet;
  const untouched = new Map<string, string>();

  beforeAll(async () => {
    fleet = new PolicyFleet();
    await fleet.start();
    for (const name of TEST) await fleet.addSite(name, { env: 'test' });
    for (const name of PROD) await fleet.addSite(name, { env: 'prod' });
    await until('all six are heard', async () =>
      (await fleet.hub.sites()).every(({ freshness }) => freshness === 'heard'),
    );
    const { code, said } = await fleet.cli('apply', '-f', fleet.write('virtual-sites.yaml', VIRTUAL_SITES));
    expect(code, said).toBe(0);
    for (const name of PROD) {
      fleet.shop(name, [API, LEDGER]);
      await fleet.meets(name, 'ledger.example:8443', 'ok');
    }
  }, 180_000);
  afterAll(async () => fleet?.remove(), 60_000);

  it('validates and plans without changing anything', async () => {
    const file = fleet.write('payments.yaml', payments(fleet.nameServer));
    const validated = await fleet.cli('validate', '-f', file);
    expect(validated.code, validated.said).toBe(0);
    for (const name of PROD) untouched.set(name, structure(fleet.network.ruleset(name)));
    const planned = await fleet.cli('plan', '-f', file);
    expect(planned.code, planned.said).toBe(0);
    expect(planned.said).toMatch(/test +enforce +2 +2/);
    expect(planned.said).toMatch(/prod +enforce +4 +4/);
    for (const name of PROD) expect(structure(fleet.network.ruleset(name))).toBe(untouched.get(name));
  });

  it('is inconclusive in test while there is no traffic, and prod is not touched', async () => {
    const applied = await fleet.cli('apply', '-f', fleet.write('payments.yaml', payments(fleet.nameServer)));
    expect(applied.code, applied.said).toBe(0);
    const rollout = await fleet.rollout('payments', 'no traffic at both', ({ sites }) =>
      TEST.every((name) =>
        sites.some(({ site, reasons }) => site === name && reasons.some(({ code }) => code === 'no-traffic')),
      ),
    );
    expect(rollout.stages[0]?.verdict).toBe('inconclusive');
    expect(rollout.phase).toBe('progressing');
    for (const name of PROD) expect(structure(fleet.network.ruleset(name))).toBe(untouched.get(name));
  });

  it('passes in test once real traffic was counted, refuses what is not listed, and leaves other users alone', async () => {
    for (const name of TEST) fleet.shop(name, [API]);
    await fleet.rollout('payments', 'awaits its promotion', ({ phase }) => phase === 'awaiting-promotion');
    for (const name of TEST) {
      fleet.shop(name, [API, { host: fleet.address('mirror'), port: 80 }]);
      await fleet.meets(name, `${fleet.address('mirror')}:80`, 'refused');
      await fleet.meets(name, 'api.payments.example:80', 'ok');
      expect(await fleet.rootConnects(name, fleet.address('mirror'), 80)).toBe(true);
    }
    const { said } = await fleet.cli('rollout', 'status', 'allowlist/payments');
    expect(said).toMatch(/payments-api/);
    await until('what was refused is shown with its destination', async () => {
      const { said } = await fleet.cli('rollout', 'status', 'allowlist/payments', '-o', 'json');
      return said.includes(fleet.address('mirror'));
    });
    for (const name of PROD) expect(structure(fleet.network.ruleset(name))).toBe(untouched.get(name));
  });

  it('fails in prod, where it misses a destination that only prod uses, and goes back by itself', async () => {
    const promoted = await fleet.cli('rollout', 'promote', 'allowlist/payments');
    expect(promoted.code, promoted.said).toBe(0);
    await Promise.any(PROD.map((name) => fleet.meets(name, 'ledger.example:8443', 'refused')));
    const deniedAt = performance.now();
    const rollout = await fleet.rollout('payments', 'rolled back', ({ phase }) => phase === 'rolled-back');
    // The site looked up no such name itself, so that the address is what can be said.
    expect(rollout.reason).toContain(`${fleet.address('ledger')}:8443/TCP`);
    for (const name of PROD) await fleet.meets(name, 'ledger.example:8443', 'ok');
    console.log(
      `first deny to restored traffic at all four: ${((performance.now() - deniedAt) / 1000).toFixed(1)} s`,
    );
    // Test stays on what it had passed.
    for (const name of TEST) await fleet.meets(name, `${fleet.address('mirror')}:80`, 'refused');
  });

  it('passes in test and prod once the rule is there', async () => {
    for (const name of TEST) fleet.shop(name, [API, LEDGER]);
    const file = fleet.write(
      'payments.yaml',
      payments(fleet.nameServer, '- {name: ledger, to: ["https://ledger.example:8443"]}'),
    );
    const applied = await fleet.cli('apply', '-f', file);
    expect(applied.code, applied.said).toBe(0);
    await fleet.rollout('payments', 'awaits its promotion', ({ phase }) => phase === 'awaiting-promotion');
    expect((await fleet.cli('rollout', 'promote', 'allowlist/payments')).code).toBe(0);
    const rollout = await fleet.rollout('payments', 'completed', ({ phase }) => phase === 'completed');
    expect(rollout.stages[1]?.counts).toMatchObject({ sites: 4, passed: 4, failed: 0 });
    for (const name of PROD) await fleet.meets(name, 'ledger.example:8443', 'ok');
    const { said } = await fleet.cli('rollout', 'evidence', 'allowlist/payments');
    for (const name of PROD) expect(said).toContain(name);
  });

  it('gives a site that joins later the promoted generation', async () => {
    await fleet.addSite('prod-5', { env: 'prod' });
    await until('it is in force there', () => fleet.hasApplied('prod-5', 'payments', 2));
    fleet.shop('prod-5', [API, LEDGER, { host: fleet.address('mirror'), port: 80 }]);
    await fleet.meets('prod-5', `${fleet.address('mirror')}:80`, 'refused');
    await fleet.meets('prod-5', 'ledger.example:8443', 'ok');
    await fleet.rollout('payments', 'the seventh site passed', ({ sites }) =>
      sites.some(({ site, verdict }) => site === 'prod-5' && verdict === 'pass'),
    );
  });

  it('adds up with a second allowlist on the same workload, and both count', async () => {
    const second = `
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: mirrors}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    - {name: mirror, to: [{cidr: 10.77.0.${ADDRESSES.mirror}/32, ports: [80/TCP]}]}
    - {name: api-too, to: ["http://api.payments.example"]}
rollout:
  stages:
    - {virtualSite: test, verify: {soak: 2s, minConclusive: 100%}}
`;
    for (const name of TEST) fleet.shop(name, [API, LEDGER, { host: fleet.address('mirror'), port: 80 }]);
    const applied = await fleet.cli('apply', '-f', fleet.write('mirrors.yaml', second));
    expect(applied.code, applied.said).toBe(0);
    for (const name of TEST) await fleet.meets(name, `${fleet.address('mirror')}:80`, 'ok');
    await fleet.rollout('mirrors', 'completed', ({ phase }) => phase === 'completed');
    const hits = async (policy: string, rule: string) => fleet.hits('test-1', policy, rule);
    const before = [await hits('payments', 'payments-api'), await hits('mirrors', 'api-too')];
    await until('both policies count the same connections', async () => {
      const now = [await hits('payments', 'payments-api'), await hits('mirrors', 'api-too')];
      return now.every((count, i) => count > (before[i] ?? 0));
    });
  });

  it('lets go at once when the owner says disarm, without the hub, and the hub shows it', async () => {
    const { code, said } = await fleet.disarm('prod-5');
    expect(code, said).toBe(0);
    await fleet.meets('prod-5', `${fleet.address('mirror')}:80`, 'ok');
    await until('the hub shows it', async () =>
      JSON.stringify(await fleet.hub.get('/api/v1/events?site=prod-5')).includes('enforcement.disarmed'),
    );
  });
});

/** Chains and rules without the figures that move by themselves. */
function structure(ruleset: string): string {
  return ruleset.replace(/packets \d+ bytes \d+/g, '').replace(/elements = \{[^}]*\}/g, '');
}
