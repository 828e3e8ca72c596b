import { compileFaults } from '../dataplane/nftables/faults.ts';
import { renderRules } from '../dataplane/nftables/render.ts';
import { firstFew } from '../first-few.ts';
import type { AllowlistDocument, AllowlistSpec, Mode } from '../model/allowlist.ts';
import type { Plan, PlannedOutcome, Violation } from '../model/plan.ts';
import type { PolicyReport } from '../model/policy-report.ts';
import type { VirtualSiteSpec } from '../model/resource.ts';
import type { Rollout } from '../model/rollout.ts';
import type { Labels, SiteKind } from '../model/site.ts';
import type { Workload } from '../ports/enforcer.ts';
import { matches, parseSelector, type Selector } from '../selector.ts';
import { selectorOf } from '../selector-of.ts';
import type { PortRange } from './destination.ts';
import { digestOf } from './digest.ts';
import { peersOf } from './guard.ts';
import { asksApproval, guardsAt, ownerOf } from './guards.ts';
import { notBegun } from './not-begun.ts';
import { ruleDifference } from './rule-diff.ts';
import { type StageWorld, stageFaults } from './stage-faults.ts';
import { stagePlan } from './strategy.ts';
import { isSupported } from './supported.ts';

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
  /** Those, and the ones that it is still to come to. */
  goesTo: readonly string[];
};

/** What a virtual site runs. */
export type Running = { spec: AllowlistSpec; mode: Mode };

export type PlanInput = {
  document: AllowlistDocument;
  /** As it stands at the hub; null when it is new. */
  current: { generation: number; digest: string } | null;
  /** Contents of this policy that failed their verification. */
  failedDigests: readonly string[];
  /** Every site that is a member of a stage's virtual site. */
  sites: readonly PlannedSite[];
  /** As the hub has them, with those of the same change as they are to be. */
  virtualSites: ReadonlyMap<string, VirtualSiteSpec>;
  /** Those of the same change that the hub has not, or otherwise. */
  changed: readonly string[];
  /** What each virtual site was promoted to, of this policy. */
  promoted: ReadonlyMap<string, Running>;
  others: readonly OtherPolicy[];
  /** Rollouts of other policies; none when the document is there as it is, which nothing then begins. */
  rollouts: readonly Rollout['spec'][];
};
type Selectors = ReadonlyMap<string, Selector>;

/** A site in its stage, and what the policy means there. */
type Placed = { site: PlannedSite; stage: number; outcome: PlannedOutcome; selected: Workload[] };

/** What applying the document would do. Pure: the same input gives the same plan. */
export function plan(input: PlanInput): Plan {
  const { document, current } = input;
  const digest = digestOf(document.spec);
  const isSame = current !== null && current.digest === digest;
  const generation = current === null ? 1 : isSame ? current.generation : current.generation + 1;
  const world = worldOf(input);
  const selectors = selectorsOf(input);
  const placed = placeSites(input, selectors);
  const compiled = uncompilable(document, placed);
  const stages = [...stageFaults(document, world)].map(({ code: _, ...fault }) => fault);
  return {
    kind: 'Allowlist',
    name: document.metadata.name,
    generation,
    digest,
    effect: current === null ? 'created' : isSame ? 'unchanged' : 'updated',
    stages: document.rollout.stages.map((stage, i) => stageOf(stagePlan(stage), i, document, placed)),
    ...differences(
      input,
      placed.filter(({ site }) => !compiled.sites.has(site)),
    ),
    names: namesOf(document.spec),
    overlaps: overlaps(input, placed, selectors),
    violations: distinct([...stages, ...notBegun(input, world), ...compiled.violations]),
    notes: notes(input, world),
  };
}

function worldOf({ sites, virtualSites, others }: PlanInput): StageWorld {
  const byName = new Map(sites.map((site) => [site.id, site]));
  const kindOf = (kind: PlannedSite['kind'] | undefined) =>
    kind === undefined || kind === 'unknown' ? null : kind;
  return {
    virtualSite: (name) => {
      const spec = virtualSites.get(name);
      return spec && { spec };
    },
    allVirtualSites: () => [...virtualSites].map(([name, spec]) => ({ metadata: { name }, spec })),
    allSites: () => sites.map(({ id, labels }) => ({ metadata: { name: id }, spec: { labels } })),
    kindOf: (site) => kindOf(byName.get(site)?.kind),
    others: others.map(({ goesTo }) => ({ virtualSites: goesTo })),
  };
}

function selectorsOf({ document, others, virtualSites }: PlanInput): Selectors {
  const used = new Set([
    ...document.rollout.stages.map(({ virtualSite }) => virtualSite),
    ...others.flatMap((other) => other.virtualSites.map(({ name }) => name)),
  ]);
  return new Map(
    [...used].flatMap((name) => {
      const spec = virtualSites.get(name);
      const selector = spec === undefined ? null : selectorOf(spec);
      return selector === null ? [] : [[name, selector] as const];
    }),
  );
}

/** Every site with the first stage that is about it, so that a site of two belongs to the earlier. */
function placeSites({ document, sites }: PlanInput, selectors: Selectors): Placed[] {
  const stages = document.rollout.stages.map(({ virtualSite }) => selectors.get(virtualSite));
  return sites.flatMap((site) => {
    const stage = stages.findIndex((selector) => selector !== undefined && matches(selector, site.labels));
    return stage < 0 ? [] : [{ site, stage, ...outcomeAt(document.spec, site) }];
  });
}

function outcomeAt(spec: AllowlistSpec, { kind, report }: PlannedSite): Pick<Placed, 'outcome' | 'selected'> {
  const none = (outcome: PlannedOutcome) => ({ outcome, selected: [] });
  if (kind !== 'unknown' && !isSupported(kind, undefined)) return none('unsupported');
  if (report === null) return none('unknown');
  if (report.enforcement !== 'on') return none(report.enforcement);
  if (report.dataplane === 'none') return none('unsupported');
  const selected = selectedOf(spec, workloadsOf(report));
  return { outcome: selected.length === 0 ? 'not-applicable' : 'applies', selected };
}

/** For what a policy selects, which user or interface it is makes no difference. */
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
/** Sites that have the same workloads and run the same before and after a step. */
type Step = { placed: Placed[]; before: Running | null; after: Running; virtualSites: Set<string> };

/** Stage after stage: what is there before, and what it brings. */
function differences({ document, promoted }: PlanInput, placed: readonly Placed[]): Differences {
  const { spec, rollout } = document;
  const steps = new Map<string, Step>();
  for (const [i, stage] of rollout.stages.entries()) {
    const { virtualSite, mode } = stagePlan(stage);
    const first = rollout.stages.findIndex((one) => one.virtualSite === virtualSite);
    const audited = rollout.stages[i - 1];
    const before =
      first < i && audited !== undefined
        ? { spec, mode: stagePlan(audited).mode }
        : (promoted.get(virtualSite) ?? null);
    for (const one of placed) {
      if (one.stage !== first || one.outcome !== 'applies') continue;
      const was = before === null ? null : [digestOf(before.spec), before.mode];
      const key = JSON.stringify([workloadsKey(one), was, mode]);
      const step = steps.get(key) ?? { placed: [], before, after: { spec, mode }, virtualSites: new Set() };
      steps.set(key, step);
      step.placed.push(one);
      step.virtualSites.add(virtualSite);
    }
  }
  const all = [...steps.values()];
  const largest = all.toSorted((a, b) => b.placed.length - a.placed.length).slice(0, DIFFERENCES_SHOWN);
  return {
    // In the order of the stages.
    differences: all.filter((step) => largest.includes(step)).map(differenceOf),
    differencesLeftOut: Math.max(0, all.length - DIFFERENCES_SHOWN),
  };
}

function differenceOf({ placed, before, after, virtualSites }: Step): Plan['differences'][number] {
  const [first] = placed;
  const bound = boundOf(placed);
  const rules = (running: Running | null) =>
    running === null
      ? []
      : renderRules(running.spec, selectedNames(running.spec, first, bound), running.mode);
  const lines = ruleDifference(rules(before), rules(after));
  return {
    mode: after.mode,
    virtualSites: [...virtualSites],
    sites: placed.length,
    examples: placed.slice(0, EXAMPLES).map(({ site }) => site.id),
    dataplane: first?.site.report?.dataplane ?? 'unknown',
    workloads: first?.selected.map(({ name }) => name) ?? [],
    lines: lines.slice(0, LINES_SHOWN),
    linesLeftOut: Math.max(0, lines.length - LINES_SHOWN),
  };
}

/** Which user or interface a workload is may differ from site to site, and makes no other difference. */
function workloadsKey({ site: { report } }: Placed): string {
  const workloads = report?.workloads.map(({ boundTo: _, ...one }) => one);
  return JSON.stringify([report?.dataplane, workloads]);
}

/** What each workload is, as far as the sites have said it. */
function boundOf(placed: readonly Placed[]): Map<string, string> {
  const said = new Map<string, { kind: string; ids: Set<string | undefined> }>();
  for (const { name, binding, boundTo } of placed.flatMap(({ site }) => site.report?.workloads ?? [])) {
    const known = said.get(name) ?? { kind: binding, ids: new Set() };
    said.set(name, known);
    known.ids.add(boundTo);
  }
  return new Map(
    [...said].map(([name, { kind, ids }]) => {
      const [only] = ids;
      if (ids.size === 1 && only !== undefined) return [name, `${kind} ${only}`];
      const known = [...ids].filter((id) => id !== undefined);
      const which =
        known.length === 0 ? 'which the site knows' : `${known.slice(0, EXAMPLES).join(', ')}, ...`;
      return [name, `the site's own ${kind}: ${which}`];
    }),
  );
}

function selectedNames(spec: AllowlistSpec, first: Placed | undefined, bound: ReadonlyMap<string, string>) {
  const { report = null } = first?.site ?? {};
  const selected = report === null ? [] : selectedOf(spec, workloadsOf(report));
  return selected.map(({ name }) => ({ name, binding: bound.get(name) ?? '' }));
}

/** Sites whose dataplane can't express it, and what keeps it from that. */
function uncompilable(
  document: AllowlistDocument,
  placed: readonly Placed[],
): { sites: ReadonlySet<PlannedSite>; violations: Violation[] } {
  const groups = new Map<string, PlannedSite[]>();
  for (const one of placed) {
    if (one.outcome !== 'applies') continue;
    const key = workloadsKey(one);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(one.site);
  }
  const sites = new Set<PlannedSite>();
  const violations = [...groups.values()].flatMap((group) => {
    const report = group[0]?.report ?? null;
    const ids = group.map(({ id }) => id);
    const faults = faultsAt(document, report === null ? [] : workloadsOf(report), ids);
    if (faults.length > 0) for (const site of group) sites.add(site);
    return faults;
  });
  return { sites, violations };
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
    problem: `${reason} (at ${firstFew(sites, EXAMPLES)})`,
    remedy,
  }));
}

function selectedOf(spec: AllowlistSpec, workloads: readonly Workload[]): Workload[] {
  const selector = parseSelector(spec.workloads);
  return workloads.filter(({ labels }) => selector.ok && matches(selector.selector, labels));
}

function overlaps({ others }: PlanInput, placed: readonly Placed[], selectors: Selectors): Plan['overlaps'] {
  const isIn = (name: string, { labels }: PlannedSite) => {
    const selector = selectors.get(name);
    return selector !== undefined && matches(selector, labels);
  };
  return others.flatMap(({ name, spec, virtualSites: at }) => {
    const shared = placed.flatMap(({ site, selected }) => {
      const where = at.filter((one) => isIn(one.name, site));
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

function notes({ document, changed }: PlanInput, world: StageWorld): string[] {
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
  for (const virtualSite of new Set(rollout.stages.map((stage) => stage.virtualSite))) {
    const held = asksApproval(guardsAt(virtualSite, world));
    if (held !== undefined)
      lines.push(
        `${virtualSite} needs the agreement of an approver who is not its author, by the guard of ${ownerOf(held)}`,
      );
  }
  for (const name of changed)
    lines.push(`virtual site ${name} is taken as it is in the same documents, not as the hub has it`);
  return [...new Set(lines)];
}

function distinct(violations: readonly Violation[]): Violation[] {
  return [...new Map(violations.map((one) => [JSON.stringify(one), one])).values()].slice(0, 64);
}
