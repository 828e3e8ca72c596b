import { compileFaults } from '../dataplane/nftables/faults.ts';
import { renderRules } from '../dataplane/nftables/render.ts';
import type { AllowlistDocument, AllowlistSpec, Mode } from '../model/allowlist.ts';
import type { Plan, PlannedOutcome, Violation } from '../model/plan.ts';
import type { PolicyReport } from '../model/policy-report.ts';
import type { Assignment } from '../model/signed.ts';
import type { Labels, SiteKind } from '../model/site.ts';
import type { Workload } from '../ports/enforcer.ts';
import { matches, parseSelector, type Selector } from '../selector.ts';
import type { PortRange } from './destination.ts';
import { digestOf } from './digest.ts';
import { guardFaults, peersOf } from './guard.ts';
import { ruleDifference } from './rule-diff.ts';
import { durationMs, stagePlan } from './strategy.ts';

/** Bounds of what a plan lists; what is left out is counted in it. */
const SITES_SHOWN = 200;
const EXAMPLES = 3;
const DIFFERENCES_SHOWN = 16;
const LINES_SHOWN = 400;

export type PlannedSite = {
  id: string;
  kind: SiteKind | 'unknown';
  /** Given labels. */
  labels: Labels;
  /** What its newest report says; null when it said nothing of policy. */
  report: Pick<PolicyReport, 'enforcement' | 'dataplane' | 'workloads'> | null;
};

/** Another policy, and the virtual sites it runs at or is on its way to. */
export type OtherPolicy = {
  name: string;
  spec: AllowlistSpec;
  virtualSites: readonly { name: string; isOnItsWay: boolean }[];
};

export type PlannedVirtualSite = {
  selector: Selector;
  guard: Assignment['guard'] & { minSoak: string | null; approval: boolean };
};

export type PlanInput = {
  document: AllowlistDocument;
  /** As it stands at the hub; null when it is new. */
  current: { generation: number; digest: string } | null;
  sites: readonly PlannedSite[];
  virtualSites: ReadonlyMap<string, PlannedVirtualSite>;
  /** What each virtual site was promoted to, of this policy. */
  promoted: ReadonlyMap<string, AllowlistSpec>;
  others: readonly OtherPolicy[];
};

/** A site in its stage, and what the policy means there. */
type Placed = { site: PlannedSite; stage: number; outcome: PlannedOutcome; selected: Workload[] };

/** What applying the document would do. Pure: the same input gives the same plan. */
export function plan(input: PlanInput): Plan {
  const { document, current } = input;
  const digest = digestOf(document.spec);
  const isSame = current !== null && current.digest === digest;
  const generation = current === null ? 1 : isSame ? current.generation : current.generation + 1;
  const placed = placeSites(input);
  const compiled = differences(input, placed);
  return {
    kind: 'Allowlist',
    name: document.metadata.name,
    generation,
    digest,
    effect: current === null ? 'created' : isSame ? 'unchanged' : 'updated',
    stages: document.rollout.stages.map((stage, i) => stageOf(stagePlan(stage), i, document, placed)),
    ...compiled.shown,
    names: namesOf(document.spec),
    overlaps: overlaps(input, placed),
    violations: [...stageViolations(input, placed), ...compiled.violations],
    notes: notes(input),
  };
}

/** Every site with the first stage that is about it, so that a site of two belongs to the earlier. */
function placeSites({ document, sites, virtualSites }: PlanInput): Placed[] {
  const stages = document.rollout.stages.map(({ virtualSite }) => virtualSites.get(virtualSite)?.selector);
  return sites.flatMap((site) => {
    const stage = stages.findIndex((selector) => selector !== undefined && matches(selector, site.labels));
    return stage < 0 ? [] : [{ site, stage, ...outcomeAt(document.spec, site) }];
  });
}

function outcomeAt(spec: AllowlistSpec, { kind, report }: PlannedSite): Pick<Placed, 'outcome' | 'selected'> {
  const none = (outcome: PlannedOutcome) => ({ outcome, selected: [] });
  if (kind === 'kubernetes' || kind === 'hosted-control-plane') return none('unsupported');
  if (report === null) return none('unknown');
  if (report.enforcement !== 'on') return none(report.enforcement);
  if (report.dataplane === 'none') return none('unsupported');
  const selected = selectedOf(spec, workloadsOf(report));
  return { outcome: selected.length === 0 ? 'not-applicable' : 'applies', selected };
}

/** A site does not say which user or interface it bound; for what changes that makes no difference. */
function workloadsOf(report: NonNullable<PlannedSite['report']>): Workload[] {
  return report.workloads.map(({ name, binding, labels }, i) => ({
    name,
    labels,
    binding: binding === 'user' ? { kind: 'user', uid: i + 1 } : { kind: 'interface', name: `if${i}` },
  }));
}

/** The same virtual site twice in a row is the same sites twice. */
function stageOf(
  { virtualSite, mode }: { virtualSite: string; mode: Mode },
  i: number,
  { rollout }: AllowlistDocument,
  placed: readonly Placed[],
): Plan['stages'][number] {
  const first = rollout.stages.findIndex((stage) => stage.virtualSite === virtualSite);
  const here = placed.filter(({ stage }) => stage === Math.min(first, i));
  const byOutcome: Record<string, number> = {};
  for (const { outcome } of here) byOutcome[outcome] = (byOutcome[outcome] ?? 0) + 1;
  const doubtfulFirst = here.toSorted(
    (a, b) => Number(a.outcome === 'applies') - Number(b.outcome === 'applies'),
  );
  return {
    virtualSite,
    mode,
    sites: here.length,
    byOutcome,
    shown: doubtfulFirst.slice(0, SITES_SHOWN).map(({ site, outcome, selected }) => ({
      site: site.id,
      outcome,
      dataplane: site.report?.dataplane ?? 'unknown',
      enforcement: site.report?.enforcement ?? 'unknown',
      workloads: selected.map(({ name }) => name),
    })),
  };
}

type Differences = Pick<Plan, 'differences' | 'differencesLeftOut'>;

/** Compiled before and after, once for all sites that have the same workloads and run the same. */
function differences(
  { document, promoted }: PlanInput,
  placed: readonly Placed[],
): { shown: Differences; violations: Violation[] } {
  const { spec, rollout } = document;
  const groups = new Map<string, { first: Placed; sites: string[]; before: AllowlistSpec | null }>();
  for (const one of placed) {
    if (one.outcome !== 'applies') continue;
    const before = promoted.get(rollout.stages[one.stage]?.virtualSite ?? '') ?? null;
    const { dataplane, workloads } = one.site.report ?? {};
    const key = JSON.stringify([dataplane, workloads, before === null ? null : digestOf(before)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { first: one, sites: [one.site.id], before });
    else group.sites.push(one.site.id);
  }
  const violations: Violation[] = [];
  const shown: Plan['differences'] = [];
  for (const { first, sites, before } of [...groups.values()].toSorted(
    (a, b) => b.sites.length - a.sites.length,
  )) {
    const { report } = first.site;
    const workloads = report === null ? [] : workloadsOf(report);
    const faults = faultsAt(document, workloads, sites);
    violations.push(...faults);
    if (faults.length > 0 || shown.length === DIFFERENCES_SHOWN) continue;
    const was = before === null ? [] : rulesAt(before, workloads);
    const lines = ruleDifference(was, rulesAt(spec, workloads));
    shown.push({
      sites: sites.length,
      examples: sites.slice(0, EXAMPLES),
      dataplane: report?.dataplane ?? 'unknown',
      workloads: first.selected.map(({ name }) => name),
      lines: lines.slice(0, LINES_SHOWN),
      linesLeftOut: Math.max(0, lines.length - LINES_SHOWN),
    });
  }
  const left = groups.size - shown.length - new Set(violations.map(({ problem }) => problem)).size;
  return {
    shown: { differences: shown, differencesLeftOut: Math.max(0, left) },
    violations: distinct(violations),
  };
}

/** What the dataplane of some sites can't express. */
function faultsAt(
  { metadata: { name }, spec }: AllowlistDocument,
  workloads: readonly Workload[],
  sites: readonly string[],
): Violation[] {
  const policy = { kind: 'Allowlist', name, generation: 1, digest: '', mode: 'enforce', spec } as const;
  return compileFaults([policy], workloads).map(({ at, reason, remedy }) => ({
    pointer: `/spec${at}`,
    virtualSite: '',
    problem: `${reason} (at ${some(sites)})`,
    remedy,
  }));
}

/** The rules of a policy for the workloads that it selects, as people read them. */
function rulesAt(spec: AllowlistSpec, workloads: readonly Workload[]): string[] {
  const bound = selectedOf(spec, workloads).map(({ name, binding }) => ({
    name,
    binding: binding.kind === 'user' ? 'by its user' : 'by its interface',
  }));
  return renderRules(spec, bound);
}

function selectedOf(spec: AllowlistSpec, workloads: readonly Workload[]): Workload[] {
  const selector = parseSelector(spec.workloads);
  return workloads.filter(({ labels }) => selector.ok && matches(selector.selector, labels));
}

function isIn(name: string, site: PlannedSite, virtualSites: PlanInput['virtualSites']): boolean {
  const known = virtualSites.get(name);
  return known !== undefined && matches(known.selector, site.labels);
}

function overlaps({ others, virtualSites }: PlanInput, placed: readonly Placed[]): Plan['overlaps'] {
  return others.flatMap(({ name, spec, virtualSites: at }) => {
    const shared = placed.flatMap(({ site, selected }) => {
      const where = at.filter((one) => isIn(one.name, site, virtualSites));
      const workloads = selectedOf(spec, selected);
      return where.length === 0 || workloads.length === 0
        ? []
        : [{ site: site.id, workloads, isOnItsWay: where.some(({ isOnItsWay }) => isOnItsWay) }];
    });
    if (shared.length === 0) return [];
    const names = shared.flatMap(({ workloads }) => workloads.map((workload) => workload.name));
    return [
      {
        policy: name,
        sites: shared.length,
        examples: shared.slice(0, EXAMPLES).map(({ site }) => site),
        workloads: [...new Set(names)].sort().slice(0, 64),
        busy: shared.some(({ isOnItsWay }) => isOnItsWay),
      },
    ];
  });
}

/** Guard rails, virtual sites that are not there or are chosen by what sites say of themselves, sites that can't take it. */
function stageViolations({ document, virtualSites }: PlanInput, placed: readonly Placed[]): Violation[] {
  const violations: Violation[] = [];
  for (const [i, stage] of document.rollout.stages.entries()) {
    const { virtualSite, soakMs } = stagePlan(stage);
    const pointer = `/rollout/stages/${i}`;
    const known = virtualSites.get(virtualSite);
    const add = (at: string, problem: string, remedy: string) =>
      void violations.push({ pointer: at, virtualSite, problem, remedy });
    if (known === undefined) {
      add(
        `${pointer}/virtualSite`,
        `there is no virtual site ${virtualSite}`,
        'apply it first, or name another',
      );
      continue;
    }
    const said = known.selector.find(({ key }) => /^(discovered|proposed)\//.test(key));
    if (said !== undefined)
      add(
        `${pointer}/virtualSite`,
        `${virtualSite} is chosen by ${said.key}, which sites say of themselves`,
        'policy goes by given labels only: choose a virtual site of those',
      );
    const { minSoak } = known.guard;
    if (minSoak !== null && soakMs < durationMs(minSoak))
      add(
        `${pointer}/verify/soak`,
        `${virtualSite}'s guard wants a soak of at least ${minSoak}`,
        `write soak: ${minSoak} or longer`,
      );
    for (const fault of guardFaults(document.spec, known.guard))
      add(`/spec${fault.pointer}`, fault.problem, fault.remedy);
    const unable = placed.filter((one) => one.stage === i && one.outcome === 'unsupported');
    if (unable.length > 0 && document.rollout.unsupportedSites !== 'exclude')
      add(
        `${pointer}/virtualSite`,
        `${some(unable.map(({ site }) => site.id))} can't enforce it`,
        'take them out of the virtual site, or write unsupportedSites: exclude',
      );
  }
  return distinct(violations);
}

function namesOf(spec: AllowlistSpec): Plan['names'] {
  const ports = new Map<string, Set<string>>();
  for (const { destination } of peersOf(spec)) {
    if (destination.kind !== 'name') continue;
    const known = ports.get(destination.host) ?? new Set();
    for (const range of destination.ports) known.add(portText(range));
    ports.set(destination.host, known);
  }
  return [...ports].map(([host, all]) => ({
    host,
    ports: [...all],
    opens: `it is enforced by address: whatever else has an address that ${host} resolves to is opened too, at ${[...all].join(', ')}`,
  }));
}

function portText({ protocol, from, to }: PortRange): string {
  return `${from === to ? from : `${from}-${to}`}/${protocol}`;
}

function notes({ document, virtualSites }: PlanInput): string[] {
  const { spec, rollout } = document;
  const dropped = (direction: string) =>
    `the selected workloads are isolated for ${direction}: new connections that no rule of any allowlist lets through are refused`;
  const lines = [
    ...(spec.egress === undefined ? [] : [dropped('egress')]),
    ...(spec.ingress === undefined ? [] : [dropped('ingress')]),
    'exempt is only what the collector itself sends to the hub and to the configured resolvers, by its user id; a workload needs a rule for its own resolver',
    'loopback is not isolated, and connections from before are kept and listed' +
      (rollout.established === 'cut' ? '; then they are cut' : ''),
  ];
  if (namesOf(spec).length > 0)
    lines.push(
      'a guard’s forbidden networks can’t be checked for names before they are resolved; sites check what is written',
    );
  const approvers = rollout.stages.filter(({ virtualSite }) => virtualSites.get(virtualSite)?.guard.approval);
  for (const { virtualSite } of approvers)
    lines.push(`${virtualSite} needs the agreement of an approver who is not its author`);
  return [...new Set(lines)];
}

function some(sites: readonly string[]): string {
  const more = sites.length - EXAMPLES;
  return sites.slice(0, EXAMPLES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function distinct(violations: readonly Violation[]): Violation[] {
  return [...new Map(violations.map((one) => [JSON.stringify(one), one])).values()].slice(0, 64);
}
