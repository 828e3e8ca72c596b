import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const NODE = `${ROOT}node_modules/.bin/node`;

/** A process of the test's own: its output so far, and an end that waits until it is gone. */
export type Running = {
  readonly pid: number;
  readonly child: ChildProcess;
  output(): string;
  exited(): boolean;
  /** Resolves with the exit code (null when a signal ended it). */
  readonly exit: Promise<number | null>;
  kill(signal?: NodeJS.Signals): Promise<void>;
};

export type RunOptions = { env?: Record<string, string>; namespace?: string; cwd?: string };

/**
 * Starts a command, in a network namespace when one is named. The kernel kills it when the test process dies for whatever
 * reason (PR_SET_PDEATHSIG through setpriv), so that nothing outlives a test that was killed itself.
 */
export function run(command: readonly string[], options: RunOptions = {}): Running {
  const guarded = ['setpriv', '--pdeathsig', 'KILL', '--', ...command];
  const [file = '', ...args] = options.namespace
    ? ['ip', 'netns', 'exec', options.namespace, ...guarded]
    : guarded;
  const child = spawn(file, args, {
    cwd: options.cwd ?? ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      UV_THREADPOOL_SIZE: '16',
      NO_COLOR: '1',
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let over = false;
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-200_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exit = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      output += `\n${error.message}`;
      over = true;
      resolve(127);
    });
    child.once('exit', () => {
      over = true;
    });
    // Later than its exit: its output has been read to the end.
    child.once('close', (code) => resolve(code));
  });
  return {
    get pid() {
      return child.pid ?? -1;
    },
    child,
    output: () => output,
    exited: () => over,
    exit,
    async kill(signal = 'SIGTERM') {
      if (!over) child.kill(signal);
      const patience = setTimeout(() => child.kill('SIGKILL'), 40_000);
      await exit;
      clearTimeout(patience);
    },
  };
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
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  withinMs = 30_000,
  onFailure: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last = '';
  for (;;) {
    try {
      const value = await probe();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${what}. ${last}\n${onFailure()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
