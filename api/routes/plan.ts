import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { checkDocument } from '../../core/document.ts';
import { AllowlistDocument, type AllowlistSpec } from '../../core/model/allowlist.ts';
import { Plan } from '../../core/model/plan.ts';
import { PolicyReport } from '../../core/model/policy-report.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { SpecBody, specKey } from '../../core/model/signed.ts';
import { SiteId } from '../../core/model/site.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { type OtherPolicy, type PlannedSite, type PlannedVirtualSite, plan } from '../../core/policy/plan.ts';
import type { Store } from '../../core/ports/store.ts';
import type { TableView } from '../../core/ports/table.ts';
import { problem } from '../../core/problem.ts';
import { matches } from '../../core/selector.ts';
import type { Directory } from '../directory.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

const Path = Type.Object({ kind: Type.String({ maxLength: 63, description: 'Allowlist' }), name: SiteId });
const reports = Compile(PolicyReport);
const specs = Compile(SpecBody);
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
      body: Type.Unsafe<unknown>({ ...AllowlistDocument }),
      response: answers(Plan),
    },
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async ({ params: { kind, name }, body }, reply) => {
      if (kind !== 'Allowlist')
        return sendProblem(reply, problem('not-found', `a ${kind} has no plan; Allowlist has`));
      const checked = checkDocument(body);
      if (!checked.ok) {
        const [first] = checked.faults;
        const detail = `${first?.pointer ?? ''}: ${first?.problem ?? 'it can’t be read'}; ${first?.remedy ?? ''}`;
        return sendProblem(reply, problem('invalid-document', detail, faultErrors(checked.faults)));
      }
      const { document } = checked;
      if (document.kind !== kind || document.metadata.name !== name)
        return sendProblem(
          reply,
          problem(
            'invalid-document',
            `the document is ${document.kind} ${document.metadata.name}, the address says ${kind} ${name}`,
          ),
        );
      const current = fleet();
      current.refresh();
      const stateOf = (site: string) => current.get(site)?.state ?? null;
      const known = directory();
      const stored = known.allowlists.get(name)?.spec ?? null;
      return plan({
        document,
        current: stored && { generation: stored.generation, digest: stored.digest },
        sites: await plannedSites(document, known, stateOf, store),
        virtualSites: virtualSites(known),
        promoted: promotedSpecs(known, name, specs()),
        others: otherPolicies(known, name),
      }) satisfies Plan;
    },
  });
}

function virtualSites({ virtualSites }: Directory): Map<string, PlannedVirtualSite> {
  return new Map(
    [...virtualSites].map(([name, { selector, resource }]) => {
      const { forbidden = [], widestCidr = null, minSoak = null, approval } = resource.spec.guard ?? {};
      return [
        name,
        { selector, guard: { forbidden, widestCidr, minSoak, approval: approval === 'required' } },
      ];
    }),
  );
}

/** The sites that any stage is about, with what their newest report says of policy. */
async function plannedSites(
  { rollout }: AllowlistDocument,
  { sites, virtualSites }: Directory,
  stateOf: (site: string) => SiteState | null,
  store: Store,
): Promise<PlannedSite[]> {
  const wanted = [...sites.values()].filter(({ spec: { labels } }) =>
    rollout.stages.some(({ virtualSite }) => {
      const known = virtualSites.get(virtualSite);
      return known !== undefined && matches(known.selector, labels);
    }),
  );
  wanted.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const states = wanted.flatMap(({ metadata }) => stateOf(metadata.name) ?? []);
  const said = await readReports(store, states);
  return wanted.map(({ metadata: { name }, spec }) => ({
    id: name,
    kind: spec.kind ?? stateOf(name)?.kind ?? 'unknown',
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
function promotedSpecs({ rollouts }: Directory, name: string, view: TableView): Map<string, AllowlistSpec> {
  const promoted = new Map<string, AllowlistSpec>();
  for (const { virtualSite, assigned } of rollouts.get(rolloutName('Allowlist', name))?.spec.promoted ?? []) {
    const spec = specOf(view, name, assigned.generation);
    if (spec !== null) promoted.set(virtualSite, spec);
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
      },
    ];
  });
}
