import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { PolicyReport } from '../core/model/policy-report.ts';
import { Host, Link, Nodes, type ProbeStatus, Security, Workloads } from '../core/model/report.ts';
import { Labels } from '../core/model/site.ts';
import type { Observation, Probe } from '../core/ports/probe.ts';

const Parts = Type.Object({
  host: Type.Optional(Host),
  links: Type.Optional(Type.Array(Link, { maxItems: 64 })),
  nodes: Type.Optional(Nodes),
  workloads: Type.Optional(Workloads),
  security: Type.Optional(Security),
  policy: Type.Optional(PolicyReport),
});
const partsValidator = Compile(Parts);
const labelsValidator = Compile(Labels);

export type Reading = { parts: Static<typeof Parts>; discovered: Labels; statuses: ProbeStatus[] };

/**
 * Reads all probes at once, for at most `deadlineMs`. What one does wrong (it throws, is late, gives something that is no
 * part of a report) is said in its status and costs its part only. One that ignores its signal is left alone until it
 * settles, and counts as failed meanwhile.
 */
export function createReader(probes: readonly Probe[], deadlineMs: number): () => Promise<Reading> {
  const busy = new Set<Probe>();

  async function observe(probe: Probe, signal: AbortSignal): Promise<Observation> {
    if (busy.has(probe)) throw new Error('still busy with the reading before');
    busy.add(probe);
    const read = probe.read(signal).finally(() => busy.delete(probe));
    return Promise.race([read, lateness(signal, deadlineMs)]);
  }

  return async () => {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), deadlineMs);
    const settled = await Promise.allSettled(probes.map((probe) => observe(probe, deadline.signal)));
    clearTimeout(timer);
    const reading: Reading = { parts: {}, discovered: {}, statuses: [] };
    settled.forEach((result, index) => {
      const name = probes[index]?.name ?? '';
      const wrong = result.status === 'rejected' ? inWords(result.reason) : faultOf(result.value);
      if (result.status === 'fulfilled' && wrong === null) {
        Object.assign(reading.parts, result.value.parts);
        Object.assign(reading.discovered, result.value.discovered);
        reading.statuses.push({ name, ok: true, lost: result.value.lost });
      } else reading.statuses.push({ name, ok: false, lost: 0, error: (wrong ?? '').slice(0, 200) });
    });
    return reading;
  };
}

function faultOf(observation: Observation): string | null {
  if (!partsValidator.Check(observation.parts)) {
    const [error] = partsValidator.Errors(observation.parts);
    return `gave ${error?.instancePath ?? 'a part'} that is not valid: ${error?.message ?? ''}`;
  }
  if (observation.discovered !== undefined && !labelsValidator.Check(observation.discovered))
    return 'gave labels that are not valid';
  return Number.isSafeInteger(observation.lost) && observation.lost >= 0 ? null : 'gave no number of losses';
}

function lateness(signal: AbortSignal, deadlineMs: number): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`gave nothing within ${deadlineMs} ms`)), {
      once: true,
    });
  });
}

function inWords(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
