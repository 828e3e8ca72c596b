import { isDeepStrictEqual } from 'node:util';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { checkDocument } from '../../core/document.ts';
import { fieldOf, itemsOf } from '../../core/json.ts';
import { AllowlistDocument, type AllowlistSpec } from '../../core/model/allowlist.ts';
import { Plan } from '../../core/model/plan.ts';
import { PolicyReport } from '../../core/model/policy-report.ts';
import { VirtualSiteDocument, type VirtualSiteSpec } from '../../core/model/resource.ts';
import { type Allowlist, type Rollout, rolloutName } from '../../core/model/rollout.ts';
import { SpecBody, specKey } from '../../core/model/signed.ts';
import { SiteId } from '../../core/model/site.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { digestOf } from '../../core/policy/digest.ts';
import { type OtherPolicy, type PlannedSite, plan, type Running } from '../../core/policy/plan.ts';
import type { Store } from '../../core/ports/store.ts';
import type { TableView } from '../../core/ports/table.ts';
import { problem } from '../../core/problem.ts';
import type { Fault } from '../../core/schema-faults.ts';
import { matches } from '../../core/selector.ts';
import { selectorOf } from '../../core/selector-of.ts';
import type { Directory } from '../directory.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

const Path = Type.Object({ kind: Type.String({ maxLength: 63, description: 'Allowlist' }), name: SiteId });
const reports = Compile(PolicyReport);
const specs = Compile(SpecBody);
/** Of one change; each stage has to be compared with the guards of all of them. */
const MOST_VIRTUAL_SITES = 64;
const Body = Type.Object({
  document: AllowlistDocument,
  virtualSites: Type.Optional(
    Type.Array(VirtualSiteDocument, {
      maxItems: MOST_VIRTUAL_SITES,
      description: 'Virtual sites that are to be applied before it, and count as they are here',
    }),
  ),
});
type VirtualSites = ReadonlyMap<string, VirtualSiteSpec>;
type Parts = Pick<RouteParts, 'directory' | 'store' | 'fleet' | 'specs'>;

/** What applying a document would do; changes nothing, so that everybody may ask. */
export function planRoute(app: App, { directory, store, fleet, specs }: Parts): void {
  app.route({
    method: 'POST',
    url: '/api/v1/policies/:kind/:name/plan',
    schema: {
      tags: ['policies'],
      summary: 'What applying a document would do: sites, compiled difference, guard rails broken',
      params: Path,
      // Checked below, with the errors that `plumbline validate` gives; here only for the documentation.
      body: Type.Unsafe<unknown>({ ...Body }),
      response: answers(Plan),
    },
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async ({ params: { kind, name }, body }, reply) => {
      if (kind !== 'Allowlist')
        return sendProblem(reply, problem('not-found', `a ${kind} has no plan; Allowlist has`));
      const asked = readBody(body);
      if ('faults' in asked) {
        const [first] = asked.faults;
        const detail = `${first?.pointer ?? ''}: ${first?.problem ?? 'it can’t be read'}; ${first?.remedy ?? ''}`;
        return sendProblem(reply, problem('invalid-document', detail, faultErrors(asked.faults)));
      }
      const { document, given } = asked;
      if (document.metadata.name !== name)
        return sendProblem(
          reply,
          problem(
            'invalid-document',
            `the document is Allowlist ${document.metadata.name}, the address says ${kind} ${name}`,
          ),
        );
      const current = fleet();
      current.refresh();
      const stateOf = (site: string) => current.get(site)?.state ?? null;
      const known = directory();
      const stored = known.allowlists.get(name)?.spec ?? null;
      const held = [...known.virtualSites].map(([site, { resource }]) => [site, resource.spec] as const);
      const virtualSites = new Map([...held, ...given]);
      return plan({
        document,
        current: stored && { generation: stored.generation, digest: stored.digest },
        failedDigests: known.rollouts.get(rolloutName(kind, name))?.spec.failedDigests ?? [],
        sites: await plannedSites(document, virtualSites, known, stateOf, store),
        virtualSites,
        changed: [...given.keys()].filter(
          (site) => !isDeepStrictEqual(known.virtualSites.get(site)?.resource.spec, given.get(site)),
        ),
        promoted: promotedSpecs(known, name, specs()),
        others: otherPolicies(known, name),
        rollouts: isThere(document, stored) ? [] : othersOf(known, name),
      }) satisfies Plan;
    },
  });
}

function isThere({ spec, rollout }: AllowlistDocument, stored: Allowlist['spec'] | null): boolean {
  return stored?.digest === digestOf(spec) && isDeepStrictEqual(stored.rollout, rollout);
}

function othersOf({ rollouts }: Directory, name: string): Rollout['spec'][] {
  return [...rollouts.values()].flatMap(({ spec }) => (spec.policy.name === name ? [] : [spec]));
}

type Asked = { document: AllowlistDocument; given: VirtualSites };

/** Pointers of faults are into the body. */
function readBody(body: unknown): Asked | { faults: Fault[] } {
  const faults: Fault[] = [];
  const read = (value: unknown, pointer: string) => {
    const checked = checkDocument(value);
    if (checked.ok) return checked.document;
    for (const fault of checked.faults) faults.push({ ...fault, pointer: pointer + fault.pointer });
    return null;
  };
  const wrongKind = (pointer: string, kind: string, wanted: string) =>
    faults.push({
      pointer,
      problem: `a ${kind} stands where a ${wanted} is needed`,
      remedy: `write ${wanted}`,
    });
  const document = read(fieldOf(body, 'document'), '/document');
  if (document !== null && document.kind !== 'Allowlist')
    wrongKind('/document/kind', document.kind, 'Allowlist');
  const given = new Map<string, VirtualSiteSpec>();
  const values = itemsOf(fieldOf(body, 'virtualSites'));
  if (values.length > MOST_VIRTUAL_SITES)
    faults.push({
      pointer: '/virtualSites',
      problem: `${values.length} virtual sites are more than a plan takes`,
      remedy: `apply some before, so that ${MOST_VIRTUAL_SITES} are left at most`,
    });
  for (const [i, value] of values.slice(0, MOST_VIRTUAL_SITES).entries()) {
    const virtualSite = read(value, `/virtualSites/${i}`);
    if (virtualSite === null) continue;
    if (virtualSite.kind === 'VirtualSite') given.set(virtualSite.metadata.name, virtualSite.spec);
    else wrongKind(`/virtualSites/${i}/kind`, virtualSite.kind, 'VirtualSite');
  }
  return document?.kind === 'Allowlist' && faults.length === 0 ? { document, given } : { faults };
}

/** The sites that any stage is about, with what their newest report says of policy. */
async function plannedSites(
  { rollout }: AllowlistDocument,
  virtualSites: VirtualSites,
  { sites }: Directory,
  stateOf: (site: string) => SiteState | null,
  store: Store,
): Promise<PlannedSite[]> {
  const selectors = rollout.stages.flatMap(({ virtualSite }) => {
    const known = virtualSites.get(virtualSite);
    const selector = known === undefined ? null : selectorOf(known);
    return selector === null ? [] : [selector];
  });
  const wanted = [...sites.values()].filter(({ spec: { labels } }) =>
    selectors.some((selector) => matches(selector, labels)),
  );
  wanted.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const states = wanted.flatMap(({ metadata }) => stateOf(metadata.name) ?? []);
  const said = await readReports(store, states);
  return wanted.map(({ metadata: { name }, spec }) => ({
    id: name,
    kind: stateOf(name)?.kind ?? spec.kind ?? 'unknown',
    labels: spec.labels,
    report: said.get(name) ?? null,
  }));
}

/** What the reports that the states are of say of policy. */
const REPORTS = `
  SELECT site, JSONExtractRaw(payload, 'policy') AS policy FROM plumbline.report
  WHERE ts >= fromUnixTimestamp64Milli({fromMs:Int64}) AND (site, boot, seq) IN (
    SELECT one.1, one.2, one.3
    FROM (SELECT arrayJoin(arrayZip({sites:Array(String)}, {boots:Array(String)}, {seqs:Array(UInt64)})) AS one))
  LIMIT 1 BY site`;
const REPORTS_AT_ONCE = 500;

async function readReports(
  store: Store,
  states: readonly SiteState[],
): Promise<Map<string, NonNullable<PlannedSite['report']>>> {
  const said = new Map<string, NonNullable<PlannedSite['report']>>();
  for (let at = 0; at < states.length; at += REPORTS_AT_ONCE) {
    const some = states.slice(at, at + REPORTS_AT_ONCE);
    const rows = await store.query<{ site: string; policy: string }>(REPORTS, {
      sites: some.map(({ site }) => site),
      boots: some.map(({ boot }) => boot),
      seqs: some.map(({ seq }) => seq),
      fromMs: some.reduce((oldest, { ts }) => Math.min(oldest, ts), Number.MAX_SAFE_INTEGER),
    });
    for (const { site, policy } of rows) {
      const value: unknown = policy === '' ? null : JSON.parse(policy);
      if (reports.Check(value)) said.set(site, value);
    }
  }
  return said;
}

/** What each virtual site was promoted to, of one policy; a generation whose content is gone is left out. */
function promotedSpecs({ rollouts }: Directory, name: string, view: TableView): Map<string, Running> {
  const promoted = new Map<string, Running>();
  for (const { virtualSite, assigned } of rollouts.get(rolloutName('Allowlist', name))?.spec.promoted ?? []) {
    const spec = specOf(view, name, assigned.generation);
    if (spec !== null) promoted.set(virtualSite, { spec, mode: assigned.mode });
  }
  return promoted;
}

function specOf(view: TableView, name: string, generation: number): AllowlistSpec | null {
  const bytes = view.get(specKey('Allowlist', name, generation));
  if (bytes === undefined) return null;
  const envelope: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const payload =
    typeof envelope === 'object' && envelope !== null ? Reflect.get(envelope, 'payload') : undefined;
  const body: unknown = typeof payload === 'string' ? JSON.parse(payload) : null;
  return specs.Check(body) ? body.spec : null;
}

function otherPolicies({ allowlists, rollouts }: Directory, name: string): OtherPolicy[] {
  return [...allowlists.values()].flatMap(({ metadata, spec }) => {
    if (metadata.name === name) return [];
    const rollout = rollouts.get(rolloutName('Allowlist', metadata.name))?.spec;
    if (rollout === undefined) return [];
    const isMoving = ['progressing', 'paused'].includes(rollout.phase);
    const active = isMoving ? rollout.stages[rollout.stage]?.virtualSite : undefined;
    const promoted = rollout.promoted.map(({ virtualSite }) => virtualSite);
    const at = [...new Set([...promoted, ...(active === undefined ? [] : [active])])];
    return [
      {
        name: metadata.name,
        spec: spec.spec,
        virtualSites: at.map((one) => ({ name: one, isOnItsWay: one === active })),
        goesTo: [...new Set([...rollout.strategy.stages.map(({ virtualSite }) => virtualSite), ...promoted])],
      },
    ];
  });
}
