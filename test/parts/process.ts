import { NODE, ROOT, type Running, spawnGuarded } from '../../demo/process.ts';
import { waitFor } from '../../demo/wait-for.ts';

export { NODE, ROOT, type Running };

export type RunOptions = { env?: Record<string, string>; namespace?: string; cwd?: string };

/** Starts a process of the test's own, which inherits of the environment only where programs are. */
export function run(command: readonly string[], { env, ...options }: RunOptions = {}): Running {
  return spawnGuarded(command, {
    ...options,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      UV_THREADPOOL_SIZE: '16',
      NO_COLOR: '1',
      ...env,
    },
  });
}

/** Runs a command to its end; rejects with its output when it fails. */
export async function runToEnd(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const running = run(command, options);
  running.child.stdin?.end();
  const code = await running.exit;
  if (code !== 0) throw new Error(`\`${command.join(' ')}\` ended with ${code}:\n${running.output()}`);
  return running.output();
}

/** Polls until the probe gives something other than null, undefined or false; the error says what it was waiting for. */
export function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  withinMs = 30_000,
  told: () => string = () => '',
): Promise<T> {
  return waitFor(what, probe, { withinMs, told });
}
