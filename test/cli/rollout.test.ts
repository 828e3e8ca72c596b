import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problem } from '../../core/problem.ts';
import { until } from '../parts/process.ts';
import { madeUpDetailOf, madeUpEvidence, madeUpPlan, madeUpRollout } from '../web/stand-in-rollouts.ts';
import { runCli, scratchDir, startCli } from './run-cli.ts';
import { type StandInHub, startStandInHub, TOKEN } from './stand-in-hub.ts';

const NOW_MS = 1_700_000_000_000;
const PATH = '/api/v1/rollouts/Allowlist/payments';
let hub: StandInHub;
let dataDir: string;
const cleanups: (() => void)[] = [];
beforeEach(async () => {
  hub = await startStandInHub(undefined, NOW_MS);
  dataDir = scratchDir((clean) => cleanups.push(clean));
});
afterEach(async () => {
  await hub.stop();
  for (const clean of cleanups.splice(0)) clean();
});

const options = () => ({ env: { url: hub.url, token: TOKEN, dataDir }, nowMs: NOW_MS });
const cli = (line: string) => runCli(line.split(' '), options());
const isoOf = (agoMs: number) => new Date(NOW_MS - agoMs).toISOString().replace('.000', '');
/** The lines under a title, up to the next empty one. */
const sectionOf = (out: string, title: string) => {
  const lines = out.split('\n');
  const from = lines.indexOf(title) + 1;
  return lines.slice(from, from === 0 ? 0 : lines.indexOf('', from)).map((line) => line.trim());
};
const page = (items: unknown[]) => ({ value: { items, next: null } });
const detail = (part: Parameters<typeof madeUpRollout>[1] = {}) =>
  madeUpDetailOf(madeUpRollout(NOW_MS, part), NOW_MS);

describe('rollout status', () => {
  test('begins with what is wrong with policy as a whole, and what to do about it', async () => {
    const trouble = {
      severity: 'critical',
      sinceMs: NOW_MS,
      detail: 'policy is read-only',
      remedy: 'run it',
    };
    const troubles = [{ ...trouble, code: 'read-only' }];
    hub.on(`GET ${PATH}`, () => ({ value: { ...detail(), troubles } }));
    const { out } = await cli('rollout status allowlist/payments');
    expect(out.split('\n')[0]).toBe('■ policy is read-only → run it');
  });

  test('shows stages, hits by rule, refused destinations, and each site with verdict, reasons and time to effect', async () => {
    hub.on(`GET ${PATH}`, () => ({ value: detail() }));
    const { code, out, err } = await cli('rollout status allowlist/payments');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('allowlist/payments  generation 3  ▶ progressing  stage 2 of 3: test');
    expect(out).toMatch(/^> 2 +test +enforce +◐ soaking +▲ inconclusive +3 +3 +1 +0 +2 +0 +41 +2$/m);
    expect(out).toMatch(/^ {2}3 +prod +enforce +○ waiting +○ not judged yet /m);
    expect(out).toMatch(/^ {2}payments-api +41 +1 +6$/m);
    expect(out).toMatch(
      /^ {2}unexpected +checkout +fraud\.example \(198\.51\.100\.7\) +443\/TCP +2 +1 +test-b$/m,
    );
    expect(out).toMatch(/^ {2}test-a +● pass +applied \(3\) +41 +0 +43 +0 +0\.8 s +1\.6 s +2\.4 s +61 s$/m);
    expect(out).toMatch(/^ {2}test-c +▲ inconclusive +applied \(3\) .* no traffic$/m);
    expect(sectionOf(out, 'Next')).toEqual([
      'plumbline rollout pause allowlist/payments     begin nothing more; what was applied stays',
      'plumbline rollout retry allowlist/payments     begin stage 2 and its evidence anew',
      'plumbline rollout rollback allowlist/payments  return test to what it was promoted to before',
    ]);
    expect(sectionOf(out, 'Done by')).toEqual([
      '20m ago  ada (author) applied generation 3',
      '5m ago   kim (approver) promoted it to stage 2, test (enforce), and so approved it there',
    ]);
  });

  test('tells once why it was rolled back, and what is next', async () => {
    const [first, second, third] = madeUpRollout(NOW_MS).stages;
    if (first === undefined || second === undefined || third === undefined) throw new Error('three stages');
    const reasons = ['1 of 3 sites failed, 0 may: test-b', 'test-b: 2 connections were denied'];
    const failed = { ...second, phase: 'rolled-back' as const, verdict: 'fail' as const, reasons };
    const reason = `its stage failed: ${reasons[0]}`;
    const part = { phase: 'rolled-back' as const, reason, stages: [first, failed, third] };
    hub.on(`GET ${PATH}`, () => ({ value: detail(part) }));
    for (const line of ['rollout status allowlist/payments', 'explain rollout payments']) {
      const { out } = await cli(line);
      expect(out.split('1 of 3 sites failed')).toHaveLength(2);
      expect(out.split('2 connections were denied')).toHaveLength(2);
      expect(sectionOf(out, 'Next')).toEqual([
        'plumbline rollout retry allowlist/payments  begin stage 2 and its evidence anew',
        'plumbline apply -f FILE                     begin another generation, corrected',
      ]);
    }
  });

  test('where sites of a stage that has passed failed, the next is to have them try it again', async () => {
    const [first] = madeUpRollout(NOW_MS).stages;
    const stages = first === undefined ? [] : [{ ...first, counts: { ...first.counts, failed: 1 } }];
    hub.on(`GET ${PATH}`, () => ({ value: detail({ phase: 'completed', stage: 0, stages }) }));
    const next = sectionOf((await cli('rollout status allowlist/payments')).out, 'Next').join();
    expect(next).toMatch(/^plumbline rollout retry allowlist\/payments .*refused it try it again/);
  });

  test('--stage asks for the sites of that one', async () => {
    hub.on(`GET ${PATH}`, () => ({ value: detail() }));
    await cli('rollout status allowlist/payments --stage 3');
    expect(hub.asked[0]?.query).toEqual({ stage: '2' });
  });

  test('--watch says a line a change and ends with the rollout: 0 when it was completed', async () => {
    const phases = ['progressing', 'progressing', 'completed'] as const;
    let asked = 0;
    hub.on(`GET ${PATH}`, () => ({ value: detail({ phase: phases[Math.min(asked++, 2)] ?? 'completed' }) }));
    const { code, out } = await cli('rollout status allowlist/payments --watch');
    expect(code).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.map((line) => /: ([a-z-]+), stage/.exec(line)?.[1])).toEqual(['progressing', 'completed']);
  });

  test('--watch ends with 1 when it was rolled back', async () => {
    hub.on(`GET ${PATH}`, () => ({ value: detail({ phase: 'rolled-back', reason: 'test-b failed' }) }));
    const { code, out } = await cli('rollout status allowlist/payments --watch');
    expect([code, out]).toEqual([1, expect.stringContaining('test-b failed')]);
  });

  test('--watch draws the whole screen of a terminal, and gives it back', async () => {
    hub.on(`GET ${PATH}`, () => ({ value: detail() }));
    const running = startCli(['rollout', 'status', 'allowlist/payments', '--watch'], {
      ...options(),
      size: { columns: 100, rows: 30 },
    });
    await until('a picture', () => running.out().includes('soaking'));
    expect(running.out()).toContain('\u001b[?1049h');
    running.interrupt();
    expect(await running.exit).toBe(0);
    expect(running.out()).toContain('\u001b[?1049l');
  });
});

describe('what a person has done with it', () => {
  test.each([
    ['promote', 'promoted', 'rollout status allowlist/payments --watch'],
    ['pause', 'paused', 'rollout resume allowlist/payments'],
    ['resume', 'resumed', 'rollout status allowlist/payments --watch'],
    ['rollback', 'rolled back', 'rollout evidence allowlist/payments'],
    ['retry', 'tried again', 'rollout status allowlist/payments --watch'],
  ])('%s goes to the hub, and what to do then is said', async (action, done, hint) => {
    hub.on(`POST ${PATH}/${action}`, () => ({
      value: { effect: 'updated', kind: 'Rollout', name: 'payments' },
    }));
    const { code, out, err } = await cli(`rollout ${action} Allowlist/payments`);
    expect([code, out]).toEqual([0, `allowlist/payments ${done}\n`]);
    expect(err).toContain(`\`plumbline ${hint}\``);
  });

  test('a refusal is told with its code, and ends with 1', async () => {
    hub.on(`POST ${PATH}/promote`, () => ({
      problem: problem('rollout-phase', 'only a stage that has passed is promoted from'),
    }));
    const { code, err } = await cli('rollout promote allowlist/payments');
    expect([code, err]).toEqual([1, 'Only a stage that has passed is promoted from [rollout-phase]\n']);
  });

  test.each(['payments', 'quota/payments', 'allowlist/', 'allowlist/a/b'])(
    '%s names no rollout',
    async (name) => {
      expect(await cli(`rollout promote ${name}`)).toEqual({
        code: 2,
        out: '',
        err: `"${name}" names no rollout; write allowlist/NAME.\n`,
      });
    },
  );
});

describe('rollout evidence', () => {
  test('is text for a change ticket, oldest decision first', async () => {
    hub.on(`GET ${PATH}/evidence`, () => ({ value: madeUpEvidence(NOW_MS) }));
    const { code, out } = await cli('rollout evidence allowlist/payments');
    expect(code).toBe(0);
    expect(out.indexOf('stage 1 (audit): PASS')).toBeLessThan(out.indexOf('stage 2 (enforce): FAIL'));
    expect(sectionOf(out, 'Allowlist payments, generation 3: done by')).toEqual([
      `${isoOf(1_200_000)}  ada (author) applied generation 3`,
      `${isoOf(300_000)}  kim (approver) promoted it to stage 2, test (enforce), and so approved it there`,
    ]);
    expect(out).toContain('  asked     soak 10m, hits >= 1 a site and 20 in all, unexpected denies <= 0');
    expect(out).toContain('    test-b: fail (2 unexpected denies)');
    expect(out).toContain('      refused 2 x checkout to fraud.example 198.51.100.7 443/TCP (unexpected)');
    expect(out).toContain('      probe canary: expected deny, refused; control connected');
  });

  test('--recompute asks again, and ends with 1 when the rows give another verdict', async () => {
    const evidence = madeUpEvidence(NOW_MS);
    const again = (isSame: boolean) => ({
      value: {
        ...evidence,
        decisions: evidence.decisions.map((one) => ({
          ...one,
          recomputed: {
            outcome: 'answered',
            verdict: 'fail',
            isSame,
            differences: isSame ? [] : ['test-b: was fail, now pass'],
          },
        })),
      },
    });
    hub.on(`GET ${PATH}/evidence`, () => again(true));
    const same = await cli('rollout evidence allowlist/payments --recompute');
    expect([same.code, hub.asked[0]?.query]).toEqual([0, { recompute: 'true' }]);
    expect(same.out).toContain('the stored rows give the same verdict');
    hub.on(`GET ${PATH}/evidence`, () => again(false));
    const other = await cli('rollout evidence allowlist/payments --recompute');
    expect([other.code, other.err]).toEqual([1, 'The stored rows do not give the same verdict.\n']);
    expect(other.out).toContain('the stored rows differ: test-b: was fail, now pass');
  });

  test('--recompute of what is too old for it says so, and is no proof', async () => {
    const evidence = madeUpEvidence(NOW_MS);
    const recomputed = { outcome: 'expired', keptUntilMs: NOW_MS - 1000 };
    const decisions = evidence.decisions.map((one) => ({ ...one, recomputed }));
    hub.on(`GET ${PATH}/evidence`, () => ({ value: { ...evidence, decisions } }));
    const { code, out, err } = await cli('rollout evidence allowlist/payments --recompute');
    expect([code, err]).toEqual([1, 'Some decisions are older than the reports that are kept.\n']);
    expect(out).toContain("again     can't be asked: reports that it rests on were kept until");
    expect(out).not.toContain('the stored rows');
  });

  test('of a generation that is no number is not asked for', async () => {
    const { code, err } = await cli('rollout evidence allowlist/payments --generation x');
    expect([code, hub.asked.length]).toEqual([2, 0]);
    expect(err).toContain('whole number from 1 on');
  });

  test('with -o json it is what the hub said', async () => {
    hub.on(`GET ${PATH}/evidence`, () => ({ value: madeUpEvidence(NOW_MS) }));
    const { out } = await cli('rollout evidence allowlist/payments -o json');
    expect(JSON.parse(out)).toEqual(madeUpEvidence(NOW_MS));
  });
});

test('explain says why it is where it is, and what to do about what was refused', async () => {
  hub.on(`GET ${PATH}`, () => ({ value: detail({ phase: 'paused', reason: 'paused by kim' }) }));
  const { code, out } = await cli('explain rollout payments');
  expect(code).toBe(0);
  expect(out).toContain('generation 3 is ▲ paused');
  expect(out).toContain('why: paused by kim');
  expect(out).toContain('  test-c: ▲ inconclusive, no traffic');
  expect(out).toContain('2 x checkout to fraud.example (198.51.100.7) 443/TCP at test-b: add it to a rule');
  expect(sectionOf(out, 'Next')[0]).toMatch(/^plumbline rollout resume allowlist\/payments +go on at test$/);
});

test('what a site says itself is added only where its verdict does not say it', async () => {
  const whole = detail();
  const [site] = whole.sites;
  if (site === undefined) throw new Error('no site');
  const reasons = [{ code: 'refused', text: 'the site refused generation 3: it cuts the hub' }];
  const refused = { ...site, verdict: 'fail', reasons, phase: 'refused', detail: 'it cuts the hub' };
  const withdrawn = { ...site, site: 'test-d', reasons: [], phase: 'withdrawn', detail: 'it was in force' };
  hub.on(`GET ${PATH}`, () => ({ value: { ...whole, sites: [refused, withdrawn] } }));
  for (const line of ['explain rollout payments', 'rollout status allowlist/payments']) {
    const { out } = await cli(line);
    expect(out.split('it cuts the hub')).toHaveLength(2);
    expect(out).toContain('it was in force');
  }
});

describe('get', () => {
  test('rollouts and allowlists are tables, and one is found by its name', async () => {
    hub.on('GET /api/v1/rollouts', () => page([madeUpRollout(NOW_MS)]));
    const rollouts = await cli('get rollouts');
    expect(rollouts.out).toMatch(
      /^allowlist\/payments +3 +▶ progressing +2\/3 test +▲ inconclusive +1\/3 +41 +2 /m,
    );
    expect((await cli('get rollout allowlist/payments')).code).toBe(0);
    expect((await cli('get rollout other')).code).toBe(1);
    hub.on('GET /api/v1/policies', () =>
      page([
        {
          kind: 'Allowlist',
          name: 'payments',
          generation: 3,
          digest: 'd',
          rules: 2,
          rollout: 'progressing',
          stage: 'test',
          promoted: [{ virtualSite: 'test', generation: 2, mode: 'enforce' }],
          updatedAtMs: NOW_MS - 60_000,
          updatedBy: 'kim',
        },
      ]),
    );
    expect((await cli('get allowlists')).out).toMatch(
      /^payments +3 +2 +▶ progressing +test +test=2 +1m ago +kim$/m,
    );
  });
});

describe('plan', () => {
  const DOCUMENT = `apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec: {workloads: {}, egress: []}
rollout: {stages: [{virtualSite: test}]}
`;
  const file = () => {
    const path = join(dataDir, 'payments.yaml');
    writeFileSync(path, DOCUMENT);
    return path;
  };

  test('shows sites, difference, names, overlaps and notes', async () => {
    hub.on('POST /api/v1/policies/Allowlist/payments/plan', () => ({ value: madeUpPlan() }));
    const test =
      'apiVersion: plumbline.io/v1\nkind: VirtualSite\nmetadata: {name: test}\nspec: {selector: env=test}\n';
    writeFileSync(join(dataDir, 'both.yaml'), `${DOCUMENT}---\n${test}`);
    expect((await cli(`plan -f ${join(dataDir, 'both.yaml')}`)).code).toBe(0);
    expect(hub.asked.at(-1)?.body).toMatchObject({
      document: { metadata: { name: 'payments' } },
      virtualSites: [{ metadata: { name: 'test' } }],
    });
    const { code, out } = await cli(`plan -f ${file()}`);
    expect(code).toBe(0);
    expect(hub.asked.at(-1)?.body).toEqual({ document: expect.anything(), virtualSites: [] });
    expect(out).toMatch(/^ {2}test +enforce +3 +2 +1 off$/m);
    expect(out).toContain('test/test-c: enforcement is off there');
    expect(out).toContain('    +   ip daddr 203.0.113.0/24 tcp dport 443 counter "payments-api" accept');
    expect(out).toContain('  test, enforce: 2 sites (test-a, test-b), nftables, checkout');
    expect(out).toContain('api.payments.example: it is enforced by address');
    expect(out).toContain('allowlist/base selects checkout at 1 of these sites too (test-a)');
    expect(out).toContain('exempt is only');
  });

  test('ends with 1 when something keeps it from being rolled out', async () => {
    const violations = [
      { pointer: '/spec/egress/0/to/0', virtualSite: 'prod', problem: 'too wide', remedy: 'narrow it' },
    ];
    hub.on('POST /api/v1/policies/Allowlist/payments/plan', () => ({
      value: { ...madeUpPlan(), violations, differencesLeftOut: 1 },
    }));
    const { code, out, err } = await cli(`plan -f ${file()}`);
    expect([code, err]).toEqual([1, '1 thing keeps it from being rolled out.\n']);
    expect(out).toMatch(
      / and 1 more line\n.* and 1 more kind of sites\n.*payments\.yaml:4:23: spec\.egress\[0\]\.to\[0\]: too wide; narrow it/s,
    );
  });

  test('a document with faults is not sent', async () => {
    const path = join(dataDir, 'bad.yaml');
    writeFileSync(path, DOCUMENT.replace('egress: []', ''));
    const { code, err } = await cli(`plan -f ${path}`);
    expect([code, hub.asked]).toEqual([1, []]);
    expect(err).toContain(`${path}:4:1: spec: there is neither egress nor ingress`);
  });
});

test('apply brings virtual sites before the policies that name them, and says how to follow', async () => {
  const dir = join(dataDir, 'documents');
  mkdirSync(dir);
  const head = 'apiVersion: plumbline.io/v1\n';
  writeFileSync(
    join(dir, 'a.yaml'),
    `${head}kind: Allowlist\nmetadata: {name: payments}\nspec: {workloads: {}, egress: []}\nrollout: {stages: [{virtualSite: test}]}\n`,
  );
  writeFileSync(
    join(dir, 'b.yaml'),
    `${head}kind: VirtualSite\nmetadata: {name: test}\nspec: {selector: env=test}\n`,
  );
  for (const [kind, name] of [
    ['Allowlist', 'payments'],
    ['VirtualSite', 'test'],
  ])
    hub.on(`PUT /api/v1/policies/${kind}/${name}`, () => ({ value: { effect: 'created', kind, name } }));
  const { code, out, err } = await cli(`apply -f ${dir}`);
  expect([code, out]).toEqual([0, 'VirtualSite/test created\nAllowlist/payments created\n']);
  expect(err).toContain('plumbline rollout status allowlist/payments --watch');
});

test('delete takes an allowlist', async () => {
  hub.on('DELETE /api/v1/policies/Allowlist/payments', () => ({
    value: { effect: 'deleted', kind: 'Allowlist', name: 'payments' },
  }));
  expect((await cli('delete allowlist/payments')).out).toBe('allowlist/payments deleted\n');
});

test('keys are rotated, and the hub restored', async () => {
  hub.on('POST /api/v1/keys/rotate', ({ query }) => ({
    value: { effect: 'updated', kind: 'Keys', name: query.revoke ?? 'hub' },
  }));
  const restored = { effect: 'updated', kind: 'Hub', name: 'hub', detail: 'policy goes on in epoch 2' };
  hub.on('POST /api/v1/hub/restore', () => ({ value: restored }));
  expect((await cli('keys rotate')).out).toBe('keys rotated\n');
  expect((await cli('keys rotate --revoke')).out).toBe('keys rotated; earlier ones are revoked\n');
  expect(hub.asked[1]?.query).toEqual({ revoke: 'true' });
  expect(await cli('restore')).toMatchObject({ code: 0, out: 'policy goes on in epoch 2\n' });
  hub.on('POST /api/v1/hub/restore', () => ({ value: { ...restored, warning: '2 of 2 sites refuse it' } }));
  const unbelieved = await cli('restore');
  expect(unbelieved).toMatchObject({ code: 1, out: expect.stringContaining('but 2 of 2 sites refuse it') });
});
