import { afterEach, beforeEach, expect, test } from 'vitest';
import { madeUpDetailOf, madeUpRollout } from '../web/stand-in-rollouts.ts';
import { runCli, scratchDir } from './run-cli.ts';
import { type StandInHub, startStandInHub, TOKEN } from './stand-in-hub.ts';

const NOW_MS = 1_700_000_000_000;
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

test('says of when its figures are, and of a site that had it before that no time was taken', async () => {
  const whole = madeUpDetailOf(madeUpRollout(NOW_MS), NOW_MS);
  const at = `as of ${new Date(NOW_MS - 6000).toISOString().replace('.000', '')}`;
  const sites = whole.sites.map((one) => ({
    ...one,
    hadItBefore: one.site === 'test-c',
    now: one.site === 'test-c' ? null : one.now,
    effect: { ...one.effect, appliedAtMs: null, liveAtMs: null },
  }));
  hub.on('GET /api/v1/rollouts/Allowlist/payments', () => ({ value: { ...whole, sites } }));
  const env = { url: hub.url, token: TOKEN, dataDir };
  const { out } = await runCli(['rollout', 'status', 'allowlist/payments'], { env, nowMs: NOW_MS });
  expect(out).toContain(`New connections by rule, stage 2, ${at}\n`);
  expect(out).toContain(`Sites of stage 2, ${at}\n`);
  expect(out).toMatch(/^ {2}test-c .* applied \(3\) +0 +0 +- +- +already +already +- +- +no traffic$/m);
  expect(out).toMatch(/^ {2}test-a .* applied \(3\) +41 +0 +43 +0 +- +- +2\.4 s +61 s$/m);
});
