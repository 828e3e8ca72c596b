import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { SiteVerdict } from '../../core/policy/evidence.ts';
import { verifyStage } from '../../core/policy/verify.ts';
import { randomFrom } from '../../simulator/prng.ts';
import { ROOT } from '../tidy/source.ts';
import { disturb, NOISES } from './verification/noise.ts';
import { JUDGED_TICKS, STAGE_TICK, StagedSite } from './verification/staged-site.ts';
import { CONTROL, DATAPLANE, TRAFFIC, type Way } from './verification/ways.ts';
import { REPORTS } from './verification/ways-of-reports.ts';

// Time is simulated: what the agent waits for is late once everything else has had its turn.
vi.mock('../../collectors/agent/within.ts', () => ({
  async within<T, L>(_ms: number, work: Promise<T>, late: L): Promise<T | L> {
    const turns = async () => {
      for (let i = 0; i < 20; i++) await turn();
      return late;
    };
    return Promise.race([work, turns()]);
  },
}));

const WAYS = [...DATAPLANE, ...TRAFFIC, ...CONTROL, ...REPORTS];
const SEEDS = 4;
const PAIRS = 40;
const HEALTHY_SEEDS = 40;
const SITES = 10;

/** One site through a stage with these ways of sabotage; what is said of it each time it could have passed. */
async function judged(ways: readonly Way[], seed: string): Promise<SiteVerdict[]> {
  const site = new StagedSite('jp-tokyo-1', seed);
  for (const way of ways) way.prepare?.(site);
  await site.begin();
  const from = STAGE_TICK + 4 + Math.floor(randomFrom(`${seed}/when`)() * 22);
  const verdicts: SiteVerdict[] = [];
  while (site.tick < JUDGED_TICKS[1]) {
    if (site.tick >= from) for (const way of ways) await way.act?.(site, site.tick - from);
    await site.interval();
    if (site.tick < JUDGED_TICKS[0]) continue;
    const { verdict, sites } = verifyStage(site.question(), [site.evidence()]);
    const [only] = sites;
    if (only === undefined) throw new Error('a stage of one site has a verdict of one');
    verdicts.push(verdict === 'pass' ? { ...only, verdict } : only);
  }
  return verdicts;
}

const figures = { ways: WAYS.length, runs: 0, falsePasses: 0, healthy: 0, passed: 0 };

test('there are at least 60 ways, no two of one name', () => {
  expect(new Set(WAYS.map(({ name }) => name)).size).toBe(WAYS.length);
  expect(WAYS.length).toBeGreaterThanOrEqual(60);
});

test.each(WAYS.map((way) => [way.name, way] as const))('no pass, and a reason: %s', async (name, way) => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const verdicts = await judged([way], `${name}/${seed}`);
    figures.runs++;
    const passes = verdicts.filter(({ verdict }) => verdict === 'pass').length;
    if (passes > 0) figures.falsePasses++;
    const last = verdicts.at(-1);
    const codes = last?.reasons.map(({ code }) => code) ?? [];
    expect({ seed, passes, codes, isNamed: way.named.some((code) => codes.includes(code)) }).toMatchObject({
      passes: 0,
      isNamed: true,
    });
  }
});

test(`no pass: ${PAIRS} pairs of ways at once`, async () => {
  const random = randomFrom('pairs');
  for (let pair = 0; pair < PAIRS; pair++) {
    const [one, other] = [0, 0].map(() => WAYS[Math.floor(random() * WAYS.length)]);
    if (one === undefined || other === undefined || one === other) continue;
    const verdicts = await judged([one, other], `pair/${pair}`);
    figures.runs++;
    const passes = verdicts.filter(({ verdict }) => verdict === 'pass').length;
    if (passes > 0) figures.falsePasses++;
    expect({ pair: [one.name, other.name], passes }).toMatchObject({ passes: 0 });
  }
});

test(`a healthy rollout with ordinary noise passes by itself`, async () => {
  const left: string[] = [];
  for (let seed = 0; seed < HEALTHY_SEEDS; seed++) {
    const noise = NOISES[seed % NOISES.length] ?? 'late';
    const sites = Array.from(
      { length: SITES },
      (_, i) => new StagedSite(`site-${i}`, `healthy/${seed}/${i}`),
    );
    for (const site of sites) await site.begin();
    let passed = false;
    while (!passed && (sites[0]?.tick ?? 0) < JUDGED_TICKS[1]) {
      for (const [i, site] of sites.entries()) {
        await disturb(site, i, noise, randomFrom(`noise/${seed}`));
        await site.interval();
      }
      const [first] = sites;
      if (first === undefined || first.tick < JUDGED_TICKS[0]) continue;
      const asked = { ...first.question(), sites: sites.map(({ site }) => site) };
      const said = verifyStage(
        asked,
        sites.map((site) => site.evidence(asked)),
      );
      passed = said.verdict === 'pass';
      if (first.tick === JUDGED_TICKS[1] && !passed)
        left.push(`${seed} ${noise}: ${JSON.stringify(said.reasons)}`);
    }
    figures.healthy++;
    figures.passed += Number(passed);
  }
  expect(figures.passed / figures.healthy, left.join('\n')).toBeGreaterThanOrEqual(0.95);
});

test('docs/verification.md has these figures', () => {
  const { ways, runs, falsePasses, healthy, passed } = figures;
  const line = `${ways} ways of sabotage, ${runs} runs over a model dataplane: ${falsePasses} false passes. ${healthy} healthy rollouts of ${SITES} sites with ordinary noise: ${passed} passed without a person.`;
  console.log(line);
  const written = readFileSync(join(ROOT, 'docs/verification.md'), 'utf8');
  expect(/\d+ ways of sabotage.*$/m.exec(written)?.[0]).toBe(line);
});
