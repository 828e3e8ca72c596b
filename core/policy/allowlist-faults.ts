import { Compile } from 'typebox/compile';
import { fieldOf, itemsOf } from '../json.ts';
import { AllowlistSpec, EgressRule, ProbeRequest, Stage } from '../model/allowlist.ts';
import { LabelSelector } from '../model/metadata.ts';
import { MAX_SPEC_BYTES } from '../model/signed.ts';
import type { Fault } from '../schema-faults.ts';
import { parseSelector } from '../selector.ts';
import { type PeerFault, parseCidr, parsePeer, parsePort } from './destination.ts';
import { canonicalJson } from './digest.ts';
import { stagePlan } from './strategy.ts';

/** What has the schema's form is judged by its meaning, also where something beside it has not. */
const forms = {
  spec: Compile(AllowlistSpec),
  selector: Compile(LabelSelector),
  peer: Compile(EgressRule.properties.to.items),
  stage: Compile(Stage),
  probe: Compile(ProbeRequest),
};

/** Fields of a strategy that a later version brings, by where they stand, so that the refusal can say so. */
const LATER_STAGE_FIELDS: Readonly<Record<string, string>> = {
  waves: 'leave it out: a stage takes all of its sites, `maxConcurrency` at a time',
  approval: 'leave it out: a stage is promoted with `plumbline rollout promote`',
  evidence: 'leave it out: a stage passes by rule hits',
};

/** Fields that have a place but are not taken yet; looked for before the schema, which would call them unknown. */
export function laterFieldFaults(value: unknown): Fault[] {
  return itemsOf(fieldOf(fieldOf(value, 'rollout'), 'stages')).flatMap((stage, i) =>
    Object.entries(LATER_STAGE_FIELDS)
      .filter(([name]) => fieldOf(stage, name) !== undefined)
      .map(([name, remedy]) => ({
        pointer: `/rollout/stages/${i}/${name}`,
        problem: `this version does not take "${name}" yet`,
        remedy,
      })),
  );
}

/** What the schema of an allowlist can't say, of every part that has its form. In the order of the document's fields. */
export function allowlistFaults(document: unknown): Fault[] {
  const stages = itemsOf(fieldOf(fieldOf(document, 'rollout'), 'stages'));
  return [
    ...specFaults(fieldOf(document, 'spec')),
    ...stages.flatMap((stage, i) => stageFaults(stage, `/rollout/stages/${i}`)),
    ...orderFaults(stages),
  ];
}

function specFaults(spec: unknown): Fault[] {
  const egress = itemsOf(fieldOf(spec, 'egress'));
  const ingress = itemsOf(fieldOf(spec, 'ingress'));
  const peers = (rules: readonly unknown[], direction: string, field: string) =>
    rules.flatMap((rule, i) => peerFaults(fieldOf(rule, field), `/spec/${direction}/${i}/${field}`));
  return [
    ...selectorFaults(fieldOf(spec, 'namespaces'), '/spec/namespaces'),
    ...selectorFaults(fieldOf(spec, 'workloads'), '/spec/workloads'),
    ...emptyText(fieldOf(spec, 'workloads')),
    ...(forms.spec.Check(spec) ? wholeFaults(spec) : []),
    ...repeatedNames(egress, '/spec/egress', 'rules'),
    ...peers(egress, 'egress', 'to'),
    ...repeatedNames(ingress, '/spec/ingress', 'rules', egress),
    ...peers(ingress, 'ingress', 'from'),
  ];
}

/** As a template leaves it whose variable was not set: it would select everything by accident. */
function emptyText(selector: unknown): Fault[] {
  if (typeof selector !== 'string' || selector.trim() !== '') return [];
  const remedy = 'name labels, as `app=checkout`; every workload is `{}`';
  return [{ pointer: '/spec/workloads', problem: 'the selector is empty text', remedy }];
}

function wholeFaults(spec: AllowlistSpec): Fault[] {
  const faults: Fault[] = [];
  if (spec.egress === undefined && spec.ingress === undefined)
    faults.push({
      pointer: '/spec',
      problem: 'there is neither egress nor ingress, so it would isolate nothing',
      remedy: 'add egress with the destinations that are let through; `egress: []` denies all',
    });
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
export function selectorFaults(selector: unknown, pointer: string): Fault[] {
  const parsed = forms.selector.Check(selector) ? parseSelector(selector) : null;
  if (parsed === null || parsed.ok) return [];
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
  items: readonly unknown[],
  pointer: string,
  what: string,
  others: readonly unknown[] = [],
): Fault[] {
  const seen = new Set(others.map((one) => fieldOf(one, 'name')));
  return items.flatMap((item, i) => {
    const name = fieldOf(item, 'name');
    if (typeof name !== 'string') return [];
    const problem = `"${name}" names two ${what}`;
    const isNew = !seen.has(name);
    seen.add(name);
    return isNew ? [] : [{ pointer: `${pointer}/${i}/name`, problem, remedy: 'give each its own name' }];
  });
}

function peerFaults(peers: unknown, pointer: string): Fault[] {
  return itemsOf(peers).flatMap((peer, j) =>
    faultsOfPeer(peer).map(({ at, reason, remedy }) => ({
      pointer: `${pointer}/${j}${at}`,
      problem: reason,
      remedy,
    })),
  );
}

/** Of one that has not the form of a destination, those of its parts that can be judged alone. */
function faultsOfPeer(peer: unknown): PeerFault[] {
  if (forms.peer.Check(peer)) {
    const parsed = parsePeer(peer);
    return parsed.ok ? [] : parsed.faults;
  }
  const cidr = fieldOf(peer, 'cidr');
  const network = typeof cidr === 'string' ? parseCidr(cidr) : null;
  const faults = network !== null && 'reason' in network ? [{ ...network, at: '/cidr' }] : [];
  for (const [i, port] of itemsOf(fieldOf(peer, 'ports')).entries()) {
    // A text that has not even the form of a port is the schema's to name.
    const parsed = typeof port === 'string' && /^[0-9]{1,5}(-[0-9]{1,5})?\/(TCP|UDP)$/.test(port);
    const range = parsed ? parsePort(port) : null;
    if (range !== null && 'reason' in range) faults.push({ ...range, at: `/ports/${i}` });
  }
  return faults;
}

function stageFaults(stage: unknown, pointer: string): Fault[] {
  return [
    ...(forms.stage.Check(stage) ? boundFaults(stage, pointer) : []),
    ...probeFaults(itemsOf(fieldOf(stage, 'probes')), `${pointer}/probes`),
  ];
}

function boundFaults(stage: Stage, pointer: string): Fault[] {
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
  return faults;
}

function probeFaults(probes: readonly unknown[], pointer: string): Fault[] {
  const faults = repeatedNames(probes, pointer, 'probes');
  for (const [i, probe] of probes.entries()) {
    const parsed = forms.probe.Check(probe) ? parsePeer(probe.to) : null;
    if (parsed === null || parsed.ok) continue;
    for (const { reason, remedy } of parsed.faults)
      faults.push({ pointer: `${pointer}/${i}/to`, problem: reason, remedy });
  }
  return faults;
}

/** A virtual site may come twice, to be watched first and held to it then, and nowhere else. */
function orderFaults(stages: readonly unknown[]): Fault[] {
  const names = stages.map((stage) => fieldOf(stage, 'virtualSite'));
  const modes = stages.map((stage) => fieldOf(stage, 'mode') ?? 'enforce');
  return stages.flatMap((_stage, i) => {
    const first = names.indexOf(names[i]);
    if (first === i || typeof names[i] !== 'string') return [];
    // A mode that is none says nothing of the order, and is the schema's to name.
    if (![modes[i - 1], modes[i]].every((mode) => mode === 'audit' || mode === 'enforce')) return [];
    const isPair = first === i - 1 && modes[i - 1] === 'audit' && modes[i] === 'enforce';
    return isPair
      ? []
      : [
          {
            pointer: `/rollout/stages/${i}/virtualSite`,
            problem: `${names[i]} has a stage already`,
            remedy: 'a virtual site may come twice only in a row, with mode audit first and enforce then',
          },
        ];
  });
}
