import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PolicyFleet, WORKLOAD_UID } from '../parts/policy-fleet.ts';
import { NODE, ROOT, until } from '../parts/process.ts';

const API = { host: 'api.payments.example', port: 80 };
const SOAK_S = 10;

/** A virtual site of one site each, so that they don't wait for one another. */
function virtualSite(name: string): string {
  return `
apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: ${name}}
spec: {selector: "is=${name}"}
`;
}

type Sabotage = {
  /** Any of them names it. */
  codes: readonly string[];
  /** Done once, when the generation is applied at the site. */
  commit?: (fleet: PolicyFleet, rule: string) => Promise<void> | void;
  undo?: (fleet: PolicyFleet) => Promise<void> | void;
  /** Without it the workload has traffic that would let the stage pass. */
  idle?: boolean;
  probes?: string;
  site?: string;
};

const nft = (script: string) => (fleet: PolicyFleet) => fleet.network.nft('edge', script);

const SABOTAGES: Record<string, Sabotage> = {
  'the table was flushed': {
    codes: ['not-live', 'was-not-live'],
    commit: nft('flush table inet plumbline\n'),
  },
  'its chain was taken off its hook': {
    codes: ['not-live', 'was-not-live'],
    commit: (fleet) => {
      const chain = /chain (\S+) \{\s+type filter hook output/.exec(fleet.network.ruleset('edge'))?.[1];
      fleet.network.nft(
        'edge',
        `flush chain inet plumbline ${chain}\ndelete chain inet plumbline ${chain}\n`,
      );
    },
  },
  'an earlier accept shadows the rules': {
    codes: ['not-live', 'was-not-live'],
    commit: (fleet) => {
      const chain = /chain (\S+) \{\s+type filter hook output/.exec(fleet.network.ruleset('edge'))?.[1];
      fleet.network.nft('edge', `insert rule inet plumbline ${chain} accept\n`);
    },
  },
  'a name set was emptied': {
    codes: ['not-live', 'was-not-live', 'unexpected-denies'],
    commit: (fleet) => {
      const set = /set (n4_\S+) \{/.exec(fleet.network.ruleset('edge'))?.[1];
      fleet.network.nft('edge', `flush set inet plumbline ${set}\n`);
    },
  },
  'the counters were reset': {
    codes: ['counter-reset', 'counter-decreased'],
    commit: async (fleet, rule) => {
      // So many that an interval does not make up for them, which nobody could tell from traffic.
      await until('there is much to lose', async () => (await fleet.hits('edge', 'on-edge', rule)) > 25);
      fleet.network.nft('edge', 'reset counters table inet plumbline\n');
    },
  },
  'another process edits the table each second': {
    codes: ['not-live', 'was-not-live'],
    commit: async (fleet) => {
      fleet.editing('edge');
      await until('the drift is told', async () =>
        JSON.stringify(await fleet.hub.get('/api/v1/events?site=edge')).includes('policy.drift'),
      );
    },
    undo: (fleet) => fleet.stopEditing(),
  },
  'a set of destinations is full': {
    codes: ['set-full'],
    commit: async (fleet) => {
      await fleet.alongside('edge', [
        NODE,
        `${ROOT}test/parts/flood.js`,
        String(WORKLOAD_UID),
        fleet.address('mirror'),
        '4200',
      ]).exit;
    },
  },
  'the collector was killed in the middle': {
    codes: ['restarted'],
    commit: async (fleet) => {
      await fleet.site('edge').collector.kill('SIGKILL');
      fleet.site('edge').collector.start();
    },
  },
  'only the generation before has hits': { codes: ['no-traffic'], idle: true },
  'only the own probes have hits': {
    codes: ['no-traffic'],
    idle: true,
    probes: '{name: api, to: "http://api.payments.example", expect: allow}',
  },
  'the target of a deny probe answers nobody': {
    codes: ['probe-unreachable'],
    probes: '{name: nobody, to: "http://canary.example:9999", expect: deny}',
  },
  'the clock is ten minutes off': { codes: ['clock-off'], site: 'late' },
  'reports have a hole': {
    codes: ['gap'],
    site: 'tiny',
    commit: async (fleet) => {
      fleet.network.cable('tiny', false);
      const { collector } = fleet.site('tiny');
      const dropped = () => collector.output().split('spool.dropped').length;
      const before = dropped();
      // More than were on their way when the cable was taken out: those come after all.
      await until('its spool has dropped reports', () => dropped() > before + 15, 60_000);
      fleet.network.cable('tiny', true);
    },
  },
};

describe('sabotage of a stage that would pass otherwise', { timeout: 90_000 }, () => {
  let fleet: PolicyFleet;
  let generation = 0;

  beforeAll(async () => {
    fleet = new PolicyFleet();
    await fleet.start();
    await fleet.addSite('edge', { is: 'edge' });
    await fleet.addSite(
      'late',
      { is: 'late' },
      { env: { NODE_OPTIONS: `--import ${ROOT}test/parts/clock-ahead.js` } },
    );
    await fleet.addSite('tiny', { is: 'tiny' }, { env: { PLUMBLINE_SPOOL_MAX_SIZE: '40kB' } });
    await until('all are heard', async () =>
      (await fleet.hub.sites()).every(({ freshness }) => freshness === 'heard'),
    );
    for (const name of ['edge', 'late', 'tiny']) {
      const { code, said } = await fleet.cli('apply', '-f', fleet.write('site.yaml', virtualSite(name)));
      expect(code, said).toBe(0);
    }
  }, 120_000);
  afterAll(async () => fleet?.remove(), 60_000);

  /** A generation of its own for each case, so that nothing is left of the case before. */
  async function begin({ site = 'edge', probes }: Sabotage): Promise<string> {
    generation++;
    const policy = `on-${site}`;
    const document = `
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: ${policy}}
spec:
  workloads: {}
  egress:
    - {name: names, to: [{cidr: ${fleet.nameServer}/32, ports: [53/UDP]}]}
    - {name: api-${generation}, to: ["http://api.payments.example"]}
rollout:
  stages:
    - {virtualSite: ${site}, verify: {soak: ${SOAK_S}s, minConclusive: 100%}, probes: [${probes ?? ''}]}
`;
    const { code, said } = await fleet.cli('apply', '-f', fleet.write('policy.yaml', document));
    expect(code, said).toBe(0);
    return policy;
  }

  it('passes when nobody interferes', async () => {
    fleet.shop('edge', [API]);
    const policy = await begin({ codes: [] });
    await fleet.rollout(policy, 'completed', ({ phase }) => phase === 'completed');
  });

  it.each(Object.entries(SABOTAGES))('does not pass when %s', async (_what, sabotage) => {
    const { site = 'edge', codes } = sabotage;
    fleet.shop(site, sabotage.idle === true ? [] : [API]);
    const policy = await begin(sabotage);
    const { generation: wanted } = await fleet.rollout(policy, 'is there', () => true);
    await until('the generation is applied', () => fleet.hasApplied(site, policy, wanted));
    await sabotage.commit?.(fleet, `api-${generation}`);
    const { stages } = await fleet.rollout(policy, 'is there', () => true);
    expect(stages[0]?.phase, 'sabotage comes before the end of the soak').not.toBe('passed');
    const rollout = await fleet.rollout(
      policy,
      `named as ${codes.join(' or ')} after the soak`,
      ({ stages, sites }) => {
        const [stage] = stages;
        const soakIsOver =
          (stage?.evaluatedAtMs ?? 0) >
          (stage?.startedAtMs ?? Number.POSITIVE_INFINITY) + SOAK_S * 1000 + 2000;
        return soakIsOver && sites.some(({ reasons }) => reasons.some(({ code }) => codes.includes(code)));
      },
    );
    expect(rollout.phase).not.toBe('completed');
    expect(rollout.stages[0]?.verdict).not.toBe('pass');
    await sabotage.undo?.(fleet);
  });
});
