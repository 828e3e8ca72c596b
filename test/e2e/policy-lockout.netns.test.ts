import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../core/model/report.ts';
import type { SiteDetail } from '../../core/model/view.ts';
import { PolicyFleet } from '../parts/policy-fleet.ts';
import { until } from '../parts/process.ts';

/** Under this address sites know the hub; nobody has it, each site translates it to the hub's own. */
const HUB_SERVICE = '10.77.0.100';

const DOCUMENTS = `
apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: all}
spec: {selector: ""}
---
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: tight}
spec:
  workloads: {}
  egress:
    - {name: api, to: ["http://api.payments.example"]}
rollout:
  stages:
    - {virtualSite: all, verify: {soak: 2s}}
`;

describe('a policy under which the hub can not be reached anew', { timeout: 120_000 }, () => {
  let fleet: PolicyFleet;
  beforeAll(async () => {
    fleet = new PolicyFleet();
    await fleet.start({ PLUMBLINE_PUBLIC_URL: `https://${HUB_SERVICE}:7117` });
    // The collector's own user is a workload here, and the exemption names the address that no packet has on its way out.
    await fleet.addSite(
      'edge',
      {},
      {
        before: (network) =>
          network.nft(
            'edge',
            `table ip service {\n chain out {\n type nat hook output priority -100;\n ip daddr ${HUB_SERVICE} dnat to 10.77.0.1\n }\n}\n`,
          ),
        workloads: [{ name: 'everything', labels: {}, user: '0' }],
        confirmWindow: '4s',
      },
    );
    await until('it is heard', async () => (await fleet.hub.sites())[0]?.freshness === 'heard');
  }, 120_000);
  afterAll(async () => fleet?.remove(), 60_000);

  it('is taken back by the site alone while its old connection still works, and is shown as refused', async () => {
    const bootBefore = reportOf(await fleet.hub.site('edge'))?.boot;
    const applied = await fleet.cli('apply', '-f', fleet.write('tight.yaml', DOCUMENTS));
    expect(applied.code, applied.said).toBe(0);
    const seen = await until('the hub shows it as refused', async () => {
      const report = reportOf(await fleet.hub.site('edge'));
      const policy = report?.policy?.policies[0];
      return policy?.phase === 'refused' && { policy, report };
    });
    expect(seen.policy.reason).toMatch(/hub/);
    // The very process that had the connection before: nobody restarted it.
    expect(seen.report?.boot).toBe(bootBefore);
    expect(fleet.network.ruleset('edge')).not.toContain('reject');
    expect(await fleet.rootConnects('edge', fleet.address('mirror'), 80)).toBe(true);
    const rollout = await fleet.rollout('tight', 'it failed', ({ phase }) => phase === 'rolled-back');
    expect(rollout.stages[0]?.counts.failed).toBe(1);
  });
});

function reportOf({ report }: SiteDetail): Report | null {
  // cast: the hub gives the report as it came, which its schema was checked against
  return report as Report | null;
}
