import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutDetail, RolloutEvidence } from '../../core/model/policy-view.ts';
import { randomFrom } from '../../simulator/prng.ts';
import { PolicyFleet } from '../parts/policy-fleet.ts';
import { until } from '../parts/process.ts';

const SITES = { 'test-1': 'test', 'prod-1': 'prod', 'prod-2': 'prod' };
const NAMES = Object.keys(SITES);
/** Sites that join while a newer generation is on its way. */
const COMING = { 'test-2': 'test', 'prod-3': 'prod' };
const API = { host: 'api.payments.example', port: 80 };
const SEED = process.env.SEED ?? String(Date.now());
const ROUNDS = 5;
/** For what takes a soak and more on a busy machine. */
const PATIENCE_MS = 120_000;
/** Long enough for a site to try in vain, and short enough to wait for. */
const CONFIRM_WINDOW_MS = 4_000;
/** What a site has to be observed anew for, once it died in a stage: the stage is rolled back, and tried again. */
const NEEDS_RETRY = new Set(['restarted', 'gap', 'lost-observations', 'counter-reset', 'was-not-live']);

/** `round` makes another content of it, whose only rule that is new is hit all the time. */
function documents(nameServer: string, round: number, soak: string): string {
  const sites = ['test', 'prod'].map(
    (env) =>
      `apiVersion: plumbline.io/v1\nkind: VirtualSite\nmetadata: {name: ${env}}\nspec: {selector: "env=${env}"}\n`,
  );
  const policy = `apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    - {name: names, to: [{cidr: ${nameServer}/32, ports: [53/UDP]}]}
    - {name: api, to: ["http://api.payments.example", {cidr: 10.9.${round}.0/24, ports: [443/TCP]}]}
rollout:
  stages:
    - {virtualSite: test, verify: {soak: ${soak}, minConclusive: 100%}}
    - {virtualSite: prod, verify: {soak: 2s, minConclusive: 100%}}
`;
  return [...sites, policy].join('---\n');
}

describe('a rollout through kills', { timeout: 400_000 }, () => {
  let fleet: PolicyFleet;
  beforeAll(async () => {
    fleet = new PolicyFleet();
    await fleet.start();
    for (const [name, env] of Object.entries(SITES))
      await fleet.addSite(name, { env }, { confirmWindow: `${CONFIRM_WINDOW_MS / 1000}s` });
    await fleet.heard();
    for (const name of NAMES) fleet.shop(name, [API]);
  }, 180_000);
  afterAll(async () => fleet?.remove(), 60_000);

  const path = '/api/v1/rollouts/Allowlist/payments';
  const apply = async (round: number, soak = '2s') => {
    const file = fleet.write('payments.yaml', documents(fleet.nameServer, round, soak));
    const { code, said } = await fleet.cli('apply', '-f', file);
    expect(code, said).toBe(0);
  };
  /** What a person does who wants it done, with a hub that may be away. Gives how often a stage was tried again. */
  const carryThrough = async (generation: number): Promise<number> => {
    let retries = 0;
    let last = '';
    await until(
      `generation ${generation} is complete`,
      async () => {
        const { rollout, sites } = await fleet.hub.get<RolloutDetail>(path);
        last = JSON.stringify([rollout, sites]);
        if (rollout.generation !== generation) return false;
        if (rollout.phase === 'completed') return true;
        const reasons = sites.flatMap((one) => one.reasons.map(({ code }) => code));
        expect(['progressing', 'awaiting-promotion', 'rolled-back'], last).toContain(rollout.phase);
        if (rollout.phase === 'awaiting-promotion') await fleet.hub.call('POST', `${path}/promote`);
        else if (rollout.phase === 'rolled-back') {
          const { status } = await fleet.hub.call('POST', `${path}/retry`);
          if (status < 300) retries += 1;
        } else if (reasons.some((code) => NEEDS_RETRY.has(code)))
          await fleet.hub.call('POST', `${path}/rollback`);
        return false;
      },
      120_000,
      () => last,
    );
    return retries;
  };
  // What no policy selects is watched, and nothing of it refused.
  const enforces = (name: string) => /\breject\b/.test(fleet.network.ruleset(name));
  const failures = async () => {
    const { items } = await fleet.hub.get<{ items: { kind: string; message: string }[] }>(
      '/api/v1/events?limit=1000',
    );
    return items.filter(({ kind }) => ['rollout.stage-failed', 'policy.refused'].includes(kind));
  };

  it('whose hub is killed right after a promotion: what is confirmed stays, what is not waits for it, nobody fails', async () => {
    await apply(0);
    await fleet.rollout('payments', 'awaits its promotion', ({ phase }) => phase === 'awaiting-promotion');
    // One that hears of it and is held up, so that it has not confirmed when the hub is gone.
    const { collector } = fleet.site('prod-2');
    process.kill(collector.pid, 'SIGSTOP');
    expect((await fleet.hub.call('POST', `${path}/promote`)).status).toBe(200);
    await until('prod-1 has it in force', () => enforces('prod-1'));
    await until('prod-1 says so', () => fleet.hasApplied('prod-1', 'payments', 1));
    await fleet.hub.kill('SIGKILL');
    process.kill(collector.pid, 'SIGCONT');
    const before = new Map(['test-1', 'prod-1'].map((name) => [name, rulesOf(fleet.network.ruleset(name))]));
    await until('prod-2 has taken it back', () => collector.output().includes('policy.hub-away'), 60_000);
    await until('nothing of it is left there', () => !enforces('prod-2'));
    for (const [name, rules] of before) expect(rulesOf(fleet.network.ruleset(name)), name).toEqual(rules);
    await fleet.meets('prod-2', 'api.payments.example:80', 'ok');
    await fleet.hub.start();
    const rollout = await fleet.rollout('payments', 'completed', ({ phase }) => phase === 'completed');
    expect(rollout.stages[1]?.counts).toMatchObject({ sites: 2, passed: 2, failed: 0 });
    expect(rulesOf(fleet.network.ruleset('prod-2'))).toEqual(before.get('prod-1'));
    expect(await failures()).toEqual([]);
  });

  it(`that hub and collectors die in at random moments ends complete, with the same rules everywhere (SEED=${SEED})`, async () => {
    const random = randomFrom(SEED);
    const mirror = fleet.address('mirror');
    const before = await fleet.hub.call('GET', path);
    const generation =
      before.status === 404 ? 0 : (await fleet.hub.get<RolloutDetail>(path)).rollout.generation;
    for (let round = 1; round <= ROUNDS; round++) {
      const victim = NAMES[Math.floor(random() * NAMES.length)] ?? '';
      const hubAfterMs = Math.round(random() * 12_000);
      const siteAfterMs = Math.round(random() * 12_000);
      await apply(round);
      const killHub = async () => {
        await passed(hubAfterMs);
        await fleet.hub.kill('SIGKILL');
        await fleet.hub.start();
      };
      const killSite = async () => {
        await passed(siteAfterMs);
        const { collector } = fleet.site(victim);
        await collector.kill('SIGKILL');
        collector.start();
      };
      const startedMs = performance.now();
      const [retries] = await Promise.all([carryThrough(generation + round), killHub(), killSite()]);
      const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
      console.log(
        `round ${round}: hub killed after ${hubAfterMs} ms, ${victim} after ${siteAfterMs} ms; complete after ${tookS} s, ${retries} retries`,
      );
      expect(retries).toBeLessThanOrEqual(1);
      const rules = rulesOf(fleet.network.ruleset('test-1'));
      expect(rules.join()).toContain(`10.9.${round}.0/24`);
      for (const name of NAMES) {
        await until(`${name} has the rules of the others`, () => {
          const own = rulesOf(fleet.network.ruleset(name));
          return own.length === rules.length && own.every((line, i) => line === rules[i]);
        });
        fleet.shop(name, [API, { host: mirror, port: 80 }]);
        await fleet.meets(name, `${mirror}:80`, 'refused');
        await fleet.meets(name, 'api.payments.example:80', 'ok');
        fleet.shop(name, [API]);
      }
    }
    expect(await failures()).toEqual([]);
  });

  it('whose stage a kill has spoiled is tried again, through kills in that too; sites that come meanwhile have their verdict', async () => {
    if ((await fleet.hub.call('GET', path)).status === 404) {
      await apply(0);
      await carryThrough(1);
    }
    const detail = () => fleet.hub.get<RolloutDetail>(path);
    const { generation: before } = (await detail()).rollout;
    const reasonsOf = async (site: string) =>
      (await detail()).sites.find((one) => one.site === site)?.reasons.map(({ code }) => code);
    // Longer than it takes to be killed.
    await apply(ROUNDS + 1, '15s');
    await until('it is in force at test-1', () => fleet.hasApplied('test-1', 'payments', before + 1));
    const { collector } = fleet.site('test-1');
    await collector.kill('SIGKILL');
    collector.start();
    await until('its evidence has a hole', async () => (await reasonsOf('test-1'))?.includes('restarted'));

    // One that comes to the stage is of the stage, and one that comes elsewhere gets and proves what is promoted there.
    for (const [name, env] of Object.entries(COMING)) {
      await fleet.addSite(name, { env });
      fleet.shop(name, [API]);
    }
    await until(
      'test-2 has passed in the stage',
      async () => (await detail()).sites.some(({ site, verdict }) => site === 'test-2' && verdict === 'pass'),
      PATIENCE_MS,
    );
    await until(
      'prod-3 has passed by the generation before',
      async () => {
        const evidence = await fleet.hub.get<RolloutEvidence>(`${path}/evidence?generation=${before}`);
        const verdicts = evidence.decisions.flatMap(({ sites }) => sites);
        return verdicts.some(({ site, verdict }) => site === 'prod-3' && verdict === 'pass');
      },
      PATIENCE_MS,
    );
    expect(await fleet.hasApplied('prod-3', 'payments', before)).toBe(true);

    const retried = await fleet.hub.call('POST', `${path}/retry`);
    expect(retried.status, JSON.stringify([retried.body, await detail()])).toBe(200);
    await Promise.all([fleet.hub.kill('SIGKILL'), collector.kill('SIGKILL')]);
    collector.start();
    await fleet.hub.start();
    expect(await carryThrough(before + 1)).toBeLessThanOrEqual(1);
    const { rollout, acts } = await detail();
    expect(acts.filter(({ act }) => act === 'retry').length).toBeGreaterThanOrEqual(1);
    expect(rollout.stages.map(({ counts }) => [counts.sites, counts.passed])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    const rules = rulesOf(fleet.network.ruleset('test-1'));
    for (const name of [...NAMES, ...Object.keys(COMING)])
      expect(rulesOf(fleet.network.ruleset(name)), name).toEqual(rules);
    expect(await failures()).toEqual([]);
  });
});

/** When the kill comes is what the seed decides. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The lines that decide something for a workload, without figures and set elements, which move by themselves. */
function rulesOf(ruleset: string): string[] {
  return ruleset
    .replace(/packets \d+ bytes \d+/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /\b(goto|jump|reject)\b/.test(line));
}
