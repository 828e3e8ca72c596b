import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { CliEnvironment } from '../../cli/connection.ts';
import { buildProgram, runProgram } from '../../cli/program.ts';

/** An empty data directory that is gone when the test is over. */
export function scratchDir(onEnd: (clean: () => void) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'plumbline-cli-'));
  onEnd(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export type CliOptions = {
  env: Partial<CliEnvironment> & { dataDir: string };
  /** What stands on standard input. */
  input?: string;
  /** A terminal of this size instead of pipes. */
  size?: { columns: number; rows: number };
  nowMs?: number;
};

/** One command line under way: what it wrote so far, keys to press, how it ended. */
export type RunningCli = {
  out(): string;
  err(): string;
  press(keys: string): void;
  resize(size: { columns: number; rows: number }): void;
  interrupt(): void;
  isRaw(): boolean;
  readonly exit: Promise<number>;
};

export function startCli(argv: readonly string[], { env, input, size, nowMs }: CliOptions): RunningCli {
  const texts = { out: '', err: '' };
  let isRaw = false;
  const terminal = { isTTY: size !== undefined, ...size };
  const out = Object.assign(new PassThrough(), terminal);
  const err = new PassThrough();
  const keys = Object.assign(new PassThrough(), {
    isTTY: size !== undefined,
    setRawMode(raw: boolean) {
      isRaw = raw;
    },
  });
  out.on('data', (chunk: Buffer) => {
    texts.out += chunk.toString('utf8');
  });
  err.on('data', (chunk: Buffer) => {
    texts.err += chunk.toString('utf8');
  });
  if (size === undefined) keys.end(input ?? '');
  const abort = new AbortController();
  const program = buildProgram({
    version: '0.1.0-test',
    env: { color: false, ...env },
    out,
    err,
    input: keys,
    untilStopped: () => abort.signal,
    ...(nowMs !== undefined && { clock: { nowMs: () => nowMs, monoMs: () => nowMs } }),
  });
  return {
    out: () => texts.out,
    err: () => texts.err,
    press: (text) => void keys.write(text),
    resize(to) {
      Object.assign(out, to);
      out.emit('resize');
    },
    interrupt: () => abort.abort(),
    isRaw: () => isRaw,
    exit: runProgram(program, argv, err),
  };
}

/** Runs one command line to its end. */
export async function runCli(
  argv: readonly string[],
  options: CliOptions,
): Promise<{ code: number; out: string; err: string }> {
  const running = startCli(argv, options);
  const code = await running.exit;
  return { code, out: running.out(), err: running.err() };
}
