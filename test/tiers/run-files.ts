import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Tier } from './tier.ts';

export type Tally = { passed: number; failed: number; skipped: string[] };

/** What vitest's JSON reporter says, as far as it is counted. */
const VitestReport = Compile(
  Type.Object({
    testResults: Type.Array(
      Type.Object({
        name: Type.String(),
        status: Type.String(),
        assertionResults: Type.Array(Type.Object({ status: Type.String(), fullName: Type.String() })),
      }),
    ),
  }),
);

/** No tier takes this long; one that does hangs. */
const TIER_WITHIN_MS = 30 * 60_000;

export type Runner = {
  /** Runs a command with its output shown; its session id is noted for the search for strays. */
  command(file: string, args: readonly string[]): Promise<number>;
  tests(tier: Tier, files: readonly string[]): Promise<Tally>;
  readonly sessions: readonly number[];
};

export function createRunner(root: string, env: NodeJS.ProcessEnv): Runner {
  const sessions: number[] = [];
  let current: ChildProcess | null = null;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (current?.pid !== undefined) process.kill(-current.pid, signal);
    });

  async function command(file: string, args: readonly string[]): Promise<number> {
    // A session of its own, by which everything it starts is known.
    const child = spawn(file, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    current = child;
    if (child.pid !== undefined) sessions.push(child.pid);
    const { promise, resolve } = Promise.withResolvers<number>();
    child.on('error', () => resolve(127));
    child.on('exit', (code) => resolve(code ?? 128));
    const hanging = setTimeout(() => {
      process.stderr.write(
        `${file} has not ended within ${TIER_WITHIN_MS / 60_000} minutes and is killed.\n`,
      );
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, TIER_WITHIN_MS);
    const code = await promise;
    clearTimeout(hanging);
    current = null;
    return code;
  }

  async function tests(tier: Tier, files: readonly string[]): Promise<Tally> {
    const output = join(root, 'test/.output', `${tier}.json`);
    rmSync(output, { force: true });
    const workers = tier === 'unit' ? Math.max(2, availableParallelism()) : 1;
    const code = await command(join(root, 'node_modules/.bin/vitest'), [
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${output}`,
      `--maxWorkers=${workers}`,
      ...files,
    ]);
    return tallyOf(output, code);
  }
  return { command, tests, sessions };
}

/** Counts tests; a file that could not be loaded, or a run that broke, is one failure. */
function tallyOf(output: string, code: number): Tally {
  const report: unknown = existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : null;
  const tally: Tally = { passed: 0, failed: 0, skipped: [] };
  if (!VitestReport.Check(report)) return { ...tally, failed: 1 };
  for (const { status, assertionResults } of report.testResults) {
    const count = (wanted: string) => assertionResults.filter((result) => result.status === wanted).length;
    tally.passed += count('passed');
    tally.failed += count('failed');
    if (status === 'failed' && count('failed') === 0) tally.failed += 1;
    for (const result of assertionResults)
      if (result.status !== 'passed' && result.status !== 'failed') tally.skipped.push(result.fullName);
  }
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  return tally;
}
