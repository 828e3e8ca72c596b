import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitFailure, lateFailure, type RunFailure, spawnFailure } from './failure.ts';

export type RunResult = { ok: true; stdout: string } | RunFailure;
export type Run = (args: readonly string[], input?: string) => Promise<RunResult>;

const WITHIN_MS = 10_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Where administrators' programs are; nothing of the collector's own environment reaches nft. */
const ENVIRONMENT = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin' };

/** Runs nft, one process a call, ended after ten seconds. `command` is what to start, with arguments before nft's own. */
export function createRun(command: readonly [string, ...string[]]): Run {
  return async (args, input) => {
    const file = input === undefined ? null : await holding(input);
    try {
      return await spawned(command, args, file);
    } finally {
      await file?.close();
    }
  };
}

function spawned(
  [program, ...before]: readonly [string, ...string[]],
  args: readonly string[],
  input: FileHandle | null,
): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(program, [...before, ...args], {
      env: ENVIRONMENT,
      stdio: [input === null ? 'ignore' : input.fd, 'pipe', 'pipe'],
      timeout: WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    let sizeBytes = 0;
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_OUTPUT_BYTES) child.kill('SIGKILL');
      else out.push(chunk);
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(0, 4096);
    });
    child.on('error', (error) => resolve(spawnFailure(error)));
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(lateFailure(WITHIN_MS));
      else if (signal !== null) resolve(exitFailure(`nft was ended by ${signal}`));
      else if (code !== 0) resolve(exitFailure(stderr));
      else resolve({ ok: true, stdout: Buffer.concat(out).toString('utf8') });
    });
  });
}

/**
 * A file without a name: nft opens /dev/stdin anew, which it can't when that is the socket that Node would give it, and
 * nothing is left behind however this process ends.
 */
async function holding(text: string): Promise<FileHandle> {
  const path = join(tmpdir(), `plumbline-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  await file.writeFile(text);
  return file;
}
