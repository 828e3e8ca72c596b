import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { PLUMBLINE, type Running, spawnGuarded } from './process.ts';
import { waitFor } from './wait-for.ts';

export type Said = { code: number | null; text: string };

export type HubOptions = {
  /** What processes find programs by, and whose home they are in. */
  env: Record<string, string>;
  listen: string;
  namespace?: string;
  signal: AbortSignal;
};

/** A hub as a process of its own, and the commands of a person who sits at it, in a folder that goes with it. */
export class DemoHub {
  /** Where the author's documents are, and where commands are typed. */
  readonly dir = mkdtempSync(join(tmpdir(), 'plumbline-demo-'));
  readonly dataDir = join(this.dir, 'hub');
  readonly #options: HubOptions;
  readonly #others = new Set<Running>();
  #greeting = '';
  #process: Running | null = null;

  constructor(options: HubOptions) {
    this.#options = options;
    mkdirSync(this.dataDir);
    process.on('exit', this.#abandon);
  }

  /** Gives what it says once it is up and answers. */
  async start(): Promise<string> {
    const { listen, signal } = this.#options;
    const process = this.run(['up'], { PLUMBLINE_LISTEN: listen, PLUMBLINE_LOCAL_SITE: 'false' });
    this.#process = process;
    this.#others.delete(process);
    await waitFor('the hub is up', () => process.exited() || process.output().includes('Ctrl-C stops it'), {
      withinMs: 60_000,
      told: () => process.output(),
      signal,
    });
    if (process.exited()) throw new Error(`the hub has ended:\n${process.output()}`);
    await waitFor('the hub answers', async () => (await this.plumbline('get', 'sites')).code === 0, {
      withinMs: 60_000,
      everyMs: 200,
      told: () => process.output(),
      signal,
    });
    this.#greeting = process.output();
    return this.#greeting;
  }

  /** A line of what it said when it was up: "Live page" or "Address". */
  said(label: string): string {
    return new RegExp(`^ +${label} +(\\S+)`, 'm').exec(this.#greeting)?.[1] ?? '';
  }

  /** A command of the product that goes on; it ends with the hub. */
  run(argv: readonly string[], env: Record<string, string> = {}): Running {
    const { namespace } = this.#options;
    return this.alongside([...PLUMBLINE, ...argv], {
      ...(namespace !== undefined && { namespace }),
      env: { PLUMBLINE_DATA_DIR: this.dataDir, ...env },
    });
  }

  /** Any other process that ends before the hub does. */
  alongside(
    command: readonly string[],
    options: { namespace?: string; env?: Record<string, string> },
  ): Running {
    const running = spawnGuarded(command, {
      ...options,
      cwd: this.dir,
      env: { ...this.#options.env, ...options.env },
    });
    this.#others.add(running);
    void running.exit.then(() => this.#others.delete(running));
    return running;
  }

  async plumbline(...argv: string[]): Promise<Said> {
    const running = this.run(argv);
    running.child.stdin?.end();
    return { code: await running.exit, text: running.output() };
  }

  /** What a command says to machines. */
  async ask<T extends TSchema>(answer: T, ...argv: string[]): Promise<Static<T>> {
    const running = this.run([...argv, '-o', 'json']);
    running.child.stdin?.end();
    const chunks: Buffer[] = [];
    running.child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const code = await running.exit;
    this.#options.signal.throwIfAborted();
    const line = `\`plumbline ${argv.join(' ')}\``;
    if (code !== 0) throw new Error(`${line} ended with ${code}: ${running.output()}`);
    const said: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (!Compile(answer).Check(said)) throw new Error(`${line} said something else: ${running.output()}`);
    return said;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#others].map((running) => running.kill('SIGTERM')));
    await this.#process?.kill('SIGTERM');
    rmSync(this.dir, { recursive: true, force: true });
    process.off('exit', this.#abandon);
  }

  /** When this process ends in the middle, as when nobody reads what it says any more. */
  readonly #abandon = () => {
    for (const running of [...this.#others, ...(this.#process ? [this.#process] : [])])
      running.child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  };
}
