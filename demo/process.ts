import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const NODE = `${ROOT}node_modules/.bin/node`;
/** The product itself, to be followed by a command of it. */
export const PLUMBLINE = [NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`];

const KEPT_OUTPUT = 200_000;
const PATIENCE_MS = 40_000;

/** A process of one's own: its output so far, and an end that waits until it is gone. */
export type Running = {
  readonly pid: number;
  readonly child: ChildProcess;
  output(): string;
  exited(): boolean;
  /** Resolves with the exit code (null when a signal ended it). */
  readonly exit: Promise<number | null>;
  kill(signal?: NodeJS.Signals): Promise<void>;
};

export type RunOptions = {
  /** All of its environment: nothing is handed on from this process. */
  env: Record<string, string>;
  namespace?: string;
  cwd?: string;
};

/**
 * Starts a command, in a network namespace when one is named. Where there is setpriv, the kernel kills it when this process
 * dies for whatever reason (PR_SET_PDEATHSIG), so that nothing outlives one that was killed itself.
 */
export function spawnGuarded(
  command: readonly string[],
  { env, namespace, cwd = ROOT }: RunOptions,
): Running {
  const guarded = hasSetpriv() ? ['setpriv', '--pdeathsig', 'KILL', '--', ...command] : command;
  const [file = '', ...args] =
    namespace === undefined ? guarded : ['ip', 'netns', 'exec', namespace, ...guarded];
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let over = false;
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  // It may end while it is being told something; its exit says so.
  child.stdin.on('error', () => undefined);
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
      const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      await exit;
      clearTimeout(patience);
    },
  };
}

let setprivWorks: boolean | null = null;

function hasSetpriv(): boolean {
  setprivWorks ??= spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0;
  return setprivWorks;
}
