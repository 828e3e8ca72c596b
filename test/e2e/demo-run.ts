import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, type Running, run } from '../parts/process.ts';

/** The command of `npm run demo`, with a home and a temporary folder of its own: what it leaves is told by these. */
export class DemoRun {
  readonly #dir = mkdtempSync(join(tmpdir(), 'plumbline-test-demo-'));
  readonly #running: Running;

  constructor(...argv: string[]) {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    for (const name of ['home', 'tmp']) mkdirSync(join(this.#dir, name));
    this.#running = run([...scripts.demo.split(' '), ...argv], {
      env: { HOME: join(this.#dir, 'home'), TMPDIR: join(this.#dir, 'tmp') },
    });
  }

  get exit(): Promise<number | null> {
    return this.#running.exit;
  }
  output(): string {
    return this.#running.output();
  }
  /** As Ctrl-C does. */
  interrupt(): void {
    this.#running.child.kill('SIGINT');
  }

  /** Processes, namespaces, their files, and temporary files that are still there. */
  leftovers(): string[] {
    const prefix = `plb-${this.#running.pid}-`;
    return [
      ...readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && this.#isOurs(pid)),
      ...readdirSync(join(this.#dir, 'tmp')),
      ...namespaces().filter((name) => name.startsWith(prefix)),
      ...(existsSync('/etc/netns')
        ? readdirSync('/etc/netns').filter((name) => name.startsWith(prefix))
        : []),
    ];
  }

  async remove(): Promise<void> {
    if (!this.#running.exited()) await this.#running.kill('SIGINT');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #isOurs(pid: string): boolean {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${this.#dir}`);
    } catch {
      // It ended meanwhile, or is somebody else's.
      return false;
    }
  }
}

function namespaces(): string[] {
  try {
    return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '');
  } catch {
    return [];
  }
}

/** What the story comes to, in whichever form. */
export const KEY_LINES = [
  /^\$ plumbline validate -f payments\.yaml$/m,
  /^\$ plumbline plan -f payments\.yaml$/m,
  /test +enforce +2 +2/,
  /^✓ The rules are in force, and yet it is inconclusive\.$/m,
  /^✓ Test has passed by connections/m,
  /rolled-back, stage 2 of 2/,
  /^✓ Prod failed, and went back by itself/m,
  /From the first deny to restored traffic[^:]*: [\d.]+ s/,
  /^✓ Test and prod have passed, and the rollout is completed\.$/m,
  /generation 2, stage 2 \(enforce\): PASS/,
  /^The end, as it should be \(\d+ s\)\.$/m,
];
