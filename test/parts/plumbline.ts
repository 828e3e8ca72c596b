import { once } from 'node:events';
import { NODE, ROOT, run } from './process.ts';

const ENDS_WITHIN_MS = 60_000;

/** One command line as people type it, in a process of its own, to its end; killed when it does not come to one. */
export async function plumbline(
  argv: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number | null; said: string }> {
  const running = run([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, ...argv], { env });
  running.child.stdin?.end();
  const patience = setTimeout(() => running.child.kill('SIGKILL'), ENDS_WITHIN_MS);
  // What it said last may come after it has ended.
  await once(running.child, 'close');
  clearTimeout(patience);
  return { code: await running.exit, said: running.output() };
}
