// `npm test`: every tier that this machine can run, what is missing for the others, what the tests left behind, and a last
// line that machines read: "N passed, N failed". `npm test -- --tier unit` runs one tier, `npm test -- test/core` the tests
// whose path contains that text.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findLeaks, type Leak, ownTables, RUN_MARK } from './tiers/leaks.ts';
import { missingFor } from './tiers/needs.ts';
import { createRunner, type Runner, type Tally } from './tiers/run-files.ts';
import { filesOf, TIERS, type Tier } from './tiers/tier.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const isCi = process.env.CI === 'true' || process.env.CI === '1';

type Outcome = Tally & { tier: Tier | 'leaks'; tookMs: number; note: string };

function readArguments(): { tiers: readonly Tier[]; paths: string[] } {
  const { values, positionals } = parseArgs({
    options: { tier: { type: 'string', multiple: true, default: [] } },
    allowPositionals: true,
  });
  const named = values.tier.flatMap((text) => text.split(','));
  const unknown = named.find((name) => !TIERS.some((tier) => tier === name));
  if (unknown !== undefined) {
    process.stderr.write(`There is no tier "${unknown}"; there are ${TIERS.join(', ')}.\n`);
    process.exit(2);
  }
  // Whoever names paths wants those tests, not the linter.
  const usual = positionals.length > 0 ? TIERS.filter((tier) => tier !== 'check') : TIERS;
  return {
    tiers: named.length > 0 ? TIERS.filter((tier) => named.includes(tier)) : usual,
    paths: positionals,
  };
}

async function runTier(tier: Tier, paths: readonly string[], runner: Runner): Promise<Outcome> {
  const startedMs = performance.now();
  const done = (tally: Tally, note = ''): Outcome => ({
    ...tally,
    tier,
    note,
    tookMs: performance.now() - startedMs,
  });
  if (tier === 'check') return done(await check(runner));
  const files = filesOf(tier, join(root, 'test'), paths);
  // A tier whose tests were lost, by a name that no longer fits, must not look like one that passed.
  if (files.length === 0)
    return done({ passed: 0, failed: isCi && paths.length === 0 ? 1 : 0, skipped: [] }, 'no such tests');
  const missing = missingFor(tier);
  if (missing.length > 0) {
    const note = `not run: ${missing.map(({ what, remedy }) => `needs ${what} (${remedy})`).join(', ')}`;
    process.stdout.write(`\n${tier}: ${note}\n`);
    return done({ passed: 0, failed: isCi ? 1 : 0, skipped: [] }, note);
  }
  process.stdout.write(`\n${tier}: ${files.length} files\n`);
  return done(await runner.tests(tier, files));
}

/** The compiler, the linter, and the compiler once more for the page when it has a configuration of its own. */
async function check(runner: Runner): Promise<Tally> {
  const bin = (name: string) => join(root, 'node_modules/.bin', name);
  const commands = [
    [bin('tsc'), '--noEmit'],
    ...(existsSync(join(root, 'web/tsconfig.json')) ? [[bin('tsc'), '--noEmit', '-p', 'web']] : []),
    [bin('biome'), 'check', '.'],
  ];
  const tally: Tally = { passed: 0, failed: 0, skipped: [] };
  for (const [file = '', ...args] of commands) {
    if ((await runner.command(file, args)) === 0) tally.passed += 1;
    else tally.failed += 1;
  }
  return tally;
}

function leaksOutcome(leaks: readonly Leak[]): Outcome {
  for (const { what, pid } of leaks) {
    process.stdout.write(`left behind: ${what}\n`);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }
  const note = leaks.length === 0 ? 'nothing left behind' : `${leaks.length} left behind`;
  return { tier: 'leaks', passed: 0, failed: leaks.length, skipped: [], tookMs: 0, note };
}

function summary(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ tier, passed, failed, skipped, tookMs, note }) => {
    const counts = `${String(passed).padStart(6)} passed ${String(failed).padStart(4)} failed ${String(skipped.length).padStart(4)} skipped`;
    return `${tier.padEnd(11)}${counts} ${(tookMs / 1000).toFixed(1).padStart(8)} s  ${note}`.trimEnd();
  });
  return `\n${rows.join('\n')}\n`;
}

async function main(): Promise<void> {
  const { tiers, paths } = readArguments();
  mkdirSync(join(root, 'test/.output'), { recursive: true });
  const mark = randomUUID();
  // A person's own settings must not decide how tests end.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PLUMBLINE_'));
  const env = { ...Object.fromEntries(inherited), [RUN_MARK]: mark, UV_THREADPOOL_SIZE: '16' };
  const tablesBefore = ownTables();
  const runner = createRunner(root, env);
  const outcomes: Outcome[] = [];
  for (const tier of tiers) outcomes.push(await runTier(tier, paths, runner));
  if (paths.length > 0 && outcomes.every(({ note }) => note === 'no such tests')) {
    process.stderr.write(`No test's path contains ${paths.join(' or ')}.\n`);
    process.exit(2);
  }
  outcomes.push(leaksOutcome(await findLeaks({ mark, sessions: runner.sessions, tablesBefore }, 5000)));
  if (isCi)
    for (const outcome of outcomes)
      for (const name of outcome.skipped) {
        process.stdout.write(`skipped, which CI does not take: ${name}\n`);
        outcome.failed += 1;
      }
  process.stdout.write(summary(outcomes));
  const sum = (of: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const failed = sum((outcome) => outcome.failed);
  process.exitCode = failed > 0 ? 1 : 0;
  process.stdout.write(`${sum((outcome) => outcome.passed)} passed, ${failed} failed\n`);
}

await main();
