import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import type { Workload } from '../../core/ports/enforcer.ts';
import type { ProbeMeeting, ProbeTarget, WorkloadProber } from '../../core/ports/workload-prober.ts';
import { ask } from './datagram.ts';

const PROGRAM = fileURLToPath(new URL('./attempt.ts', import.meta.url));
const CONNECT_MS = 3000;
/** With the start of the program, which takes its time on a busy machine. */
const PATIENCE_MS = 10_000;
const NOBODY = 65_534;

const Met = Compile(
  Type.Object({
    outcome: Type.Enum(['connected', 'refused', 'no-answer', 'unable']),
    detail: Type.Optional(Type.String()),
  }),
);

/** Probes in a child process that has become the workload's user; the control comes from this very process. */
export function createProber(probePorts: { from: number; to: number }): WorkloadProber {
  const children = new Set<ChildProcess>();
  let isStopped = false;

  async function asWorkload(uid: number, target: ProbeTarget): Promise<ProbeMeeting> {
    const gid = await groupOf(uid);
    if (isStopped) return unable('the collector stops');
    const range = { fromPort: probePorts.from, toPort: probePorts.to };
    const order = JSON.stringify({ uid, gid, ...target, ...range, timeoutMs: CONNECT_MS });
    const text = await new Promise<string>((resolve) => {
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, order], {
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: PATIENCE_MS,
        killSignal: 'SIGKILL',
      });
      children.add(child);
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(0, 4096);
      });
      child.on('error', () => undefined);
      child.on('close', () => {
        children.delete(child);
        resolve(output);
      });
    });
    const met = readJson(text);
    return Met.Check(met)
      ? { outcome: met.outcome, control: 'unable', ...(met.detail !== undefined && { detail: met.detail }) }
      : { outcome: 'unable', control: 'unable', detail: 'the program that probes gave no answer' };
  }

  return {
    async probe(workload: Workload, target: ProbeTarget): Promise<ProbeMeeting> {
      const { binding } = workload;
      if (isStopped) return unable('the collector stops');
      if (binding.kind === 'interface')
        return unable(`what is behind interface ${binding.name} can't be probed from here`);
      const met = await asWorkload(binding.uid, target);
      return met.outcome === 'unable' ? met : { ...met, control: await control(target) };
    },
    async stop() {
      isStopped = true;
      const ended = [...children].map((child) => new Promise((resolve) => child.once('close', resolve)));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ended);
    },
  };
}

async function control(target: ProbeTarget): Promise<ProbeMeeting['control']> {
  if (target.protocol === 'TCP') return controlByTcp(target);
  const { outcome } = await ask({ ...target, timeoutMs: CONNECT_MS });
  return outcome === 'connected' ? 'connected' : 'no-answer';
}

function controlByTcp({ address, port }: ProbeTarget): Promise<ProbeMeeting['control']> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: CONNECT_MS });
    const finish = (met: ProbeMeeting['control']) => {
      socket.destroy();
      resolve(met);
    };
    socket.once('connect', () => finish('connected'));
    socket.once('timeout', () => finish('no-answer'));
    socket.once('error', () => finish('no-answer'));
  });
}

function unable(detail: string): ProbeMeeting {
  return { outcome: 'unable', control: 'unable', detail };
}

/** The user's own group; nobody's for a user that has no entry. */
async function groupOf(uid: number): Promise<number> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const entry = text
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[2] === String(uid));
  return Number(entry?.[3] ?? NOBODY);
}
