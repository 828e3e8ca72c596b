import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const SCRIPT = new URL('./traffic.js', import.meta.url).pathname;

export type Deed =
  | { deed: 'listen' | 'answer'; address: string; port: number }
  | { deed: 'connect'; address: string; port: number; from?: number; hold?: string }
  | { deed: 'converse'; address: string; port: number; hold: string }
  | { deed: 'echo' | 'end'; hold: string }
  | { deed: 'send' | 'repeat'; address: string; port: number };
export type Outcome = { outcome: string; tookMs: number };

/** A process in a network namespace, under a user of its own, that makes connections as it is told. */
export type Traffic = { act(deed: Deed): Promise<Outcome>; stop(): Promise<void> };

export function createTraffic(namespace: string, user: number): Traffic {
  const child: ChildProcess = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, SCRIPT, String(user)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const waiting = new Map<number, (outcome: Outcome) => void>();
  let next = 0;
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, outcome, tookMs }: { id: number } & Outcome = JSON.parse(line);
      waiting.get(id)?.({ outcome, tookMs });
      waiting.delete(id);
    });
  void ended.then(() => {
    for (const resolve of waiting.values()) resolve({ outcome: 'gone', tookMs: 0 });
  });
  return {
    act: (deed) =>
      new Promise((resolve) => {
        const id = next++;
        waiting.set(id, resolve);
        child.stdin?.write(`${JSON.stringify({ id, ...deed })}\n`);
      }),
    async stop() {
      child.stdin?.end();
      await ended;
    },
  };
}
