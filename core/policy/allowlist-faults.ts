import type { AllowlistDocument, AllowlistSpec, Stage } from '../model/allowlist.ts';
import { MAX_SPEC_BYTES } from '../model/signed.ts';
import type { Fault } from '../schema-faults.ts';
import { parseSelector } from '../selector.ts';
import { type Peer, parsePeer } from './destination.ts';
import { canonicalJson } from './digest.ts';
import { type StagePlan, stagePlan } from './strategy.ts';

/** Fields of a strategy that a later version brings, by where they stand, so that the refusal can say so. */
const LATER_STAGE_FIELDS: Readonly<Record<string, string>> = {
  waves: 'leave it out: a stage takes all of its sites, `maxConcurrency` at a time',
  approval: 'leave it out: a stage is promoted with `plumbline rollout promote`',
  evidence: 'leave it out: a stage passes by rule hits',
};

/** Fields that have a place but are not taken yet; looked for before the schema, which would call them unknown. */
export function laterFieldFaults(value: unknown): Fault[] {
  const stages = fieldOf(fieldOf(value, 'rollout'), 'stages');
  if (!Array.isArray(stages)) return [];
  return stages.flatMap((stage: unknown, i) =>
    Object.entries(LATER_STAGE_FIELDS)
      .filter(([name]) => fieldOf(stage, name) !== undefined)
      .map(([name, remedy]) => ({
        pointer: `/rollout/stages/${i}/${name}`,
        problem: `this version does not take "${name}" yet`,
        remedy,
      })),
  );
}

/** What the schema of an allowlist can't say. In the order of the document's fields. */
export function allowlistFaults({ spec, rollout }: AllowlistDocument): Fault[] {
  return [
    ...specFaults(spec),
    ...rollout.stages.flatMap((stage, i) => stageFaults(stage, `/rollout/stages/${i}`)),
    ...orderFaults(rollout.stages),
  ];
}

function specFaults(spec: AllowlistSpec): Fault[] {
  const faults = [
    ...(spec.namespaces === undefined ? [] : selectorFaults(spec.namespaces, '/spec/namespaces')),
    ...selectorFaults(spec.workloads, '/spec/workloads'),
  ];
  if (spec.egress === undefined && spec.ingress === undefined)
    faults.push({
      pointer: '/spec',
      problem: 'there is neither egress nor ingress, so it would isolate nothing',
      remedy: 'add egress with the destinations that are let through; `egress: []` denies all',
    });
  const egress = spec.egress ?? [];
  const ingress = spec.ingress ?? [];
  faults.push(...repeatedNames(egress, '/spec/egress', 'rules'));
  for (const [i, { to }] of egress.entries()) faults.push(...peerFaults(to, `/spec/egress/${i}/to`));
  faults.push(...repeatedNames(ingress, '/spec/ingress', 'rules', egress));
  for (const [i, { from }] of ingress.entries()) faults.push(...peerFaults(from, `/spec/ingress/${i}/from`));
  const sizeBytes = Buffer.byteLength(canonicalJson(spec));
  if (sizeBytes > MAX_SPEC_BYTES)
    faults.push({
      pointer: '/spec',
      problem: `it has ${Math.ceil(sizeBytes / 1024)} kB of JSON`,
      remedy: `keep it to ${MAX_SPEC_BYTES / 1024} kB; split it into several allowlists, which add up`,
    });
  return faults;
}

/** A selector that can't be read. `pointer` is where it stands. */
export function selectorFaults(selector: AllowlistSpec['workloads'], pointer: string): Fault[] {
  const parsed = parseSelector(selector);
  if (parsed.ok) return [];
  const inObject = parsed.at.startsWith('/');
  return [
    {
      pointer: `${pointer}${inObject ? parsed.at : ''}`,
      problem: inObject ? parsed.reason : `at ${parsed.at}: ${parsed.reason}`,
      remedy: 'write it as "env in (prod,test),!maintenance" or with matchLabels',
    },
  ];
}

/** `others` are named already: hits are counted by name alone. */
function repeatedNames(
  items: readonly { name: string }[],
  pointer: string,
  what: string,
  others: readonly { name: string }[] = [],
): Fault[] {
  const seen = new Set(others.map(({ name }) => name));
  return items.flatMap(({ name }, i) => {
    const problem = `"${name}" names two ${what}`;
    const isNew = !seen.has(name);
    seen.add(name);
    return isNew ? [] : [{ pointer: `${pointer}/${i}/name`, problem, remedy: 'give each its own name' }];
  });
}

function peerFaults(peers: readonly Peer[], pointer: string): Fault[] {
  return peers.flatMap((peer, j) => {
    const parsed = parsePeer(peer);
    return parsed.ok
      ? []
      : [{ pointer: `${pointer}/${j}${parsed.at}`, problem: parsed.reason, remedy: parsed.remedy }];
  });
}

function stageFaults(stage: Stage, pointer: string): Fault[] {
  const plan = stagePlan(stage);
  const faults: Fault[] = [];
  const add = (at: string, problem: string, remedy: string) =>
    void faults.push({ pointer: pointer + at, problem, remedy });
  if (plan.progressDeadlineMs <= plan.soakMs)
    add(
      stage.progressDeadline === undefined ? '/verify/soak' : '/progressDeadline',
      'the stage would reach its progressDeadline before its soak is over',
      'make progressDeadline (24h unless told) longer than soak (10m unless told)',
    );
  if (plan.minConclusive === 0)
    add('/verify/minConclusive', '0% would pass a stage of which nothing is known', 'use 1% or more');
  if ('share' in plan.maxConcurrency ? plan.maxConcurrency.share === 0 : plan.maxConcurrency.sites === 0)
    add('/maxConcurrency', 'none at a time would never begin', 'use 1 or more, or leave it out for all');
  faults.push(...probeFaults(plan.probes, `${pointer}/probes`));
  return faults;
}

function probeFaults(probes: StagePlan['probes'], pointer: string): Fault[] {
  const faults = repeatedNames(probes, pointer, 'probes');
  for (const [i, { to }] of probes.entries()) {
    const parsed = parsePeer(to);
    if (!parsed.ok)
      faults.push({ pointer: `${pointer}/${i}/to`, problem: parsed.reason, remedy: parsed.remedy });
  }
  return faults;
}

/** A virtual site may come twice, to be watched first and held to it then, and nowhere else. */
function orderFaults(stages: readonly Stage[]): Fault[] {
  return stages.flatMap((stage, i) => {
    const first = stages.findIndex(({ virtualSite }) => virtualSite === stage.virtualSite);
    if (first === i) return [];
    const before = stages[i - 1];
    const isPair =
      first === i - 1 && before?.mode === 'audit' && (stage.mode === undefined || stage.mode === 'enforce');
    return isPair
      ? []
      : [
          {
            pointer: `/rollout/stages/${i}/virtualSite`,
            problem: `${stage.virtualSite} has a stage already`,
            remedy: 'a virtual site may come twice only in a row, with mode audit first and enforce then',
          },
        ];
  });
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
