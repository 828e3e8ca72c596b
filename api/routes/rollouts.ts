import Type from 'typebox';
import { RolloutDetail, RolloutEvidence, RolloutPage } from '../../core/model/policy-view.ts';
import { resourceKey } from '../../core/model/resource.ts';
import { ROLLOUT_ACTIONS, type Rollout, rolloutName } from '../../core/model/rollout.ts';
import { SiteId } from '../../core/model/site.ts';
import { Applied } from '../../core/model/view.ts';
import { plural } from '../../core/plural.ts';
import { type Problem, problem } from '../../core/problem.ts';
import type { Directory } from '../directory.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { readDecisions } from '../policy/decisions.ts';
import { readDenied } from '../policy/hits.ts';
import { rolloutView } from '../policy/rollout-view.ts';
import { stageKey, stageSites } from '../policy/stage-members.ts';
import { asRecorded, createStageRecords, ruleHitsOf } from '../policy/stage-record.ts';
import { joinDenied, readStageSites } from '../policy/stage-sites.ts';
import { answers, badCursor } from './answers.ts';
import { PageQuery, pageOf } from './paging.ts';
import type { RouteParts } from './parts.ts';

const Path = Type.Object({
  kind: Type.String({ maxLength: 63, description: 'Allowlist' }),
  name: SiteId,
});
type Parts = Pick<RouteParts, 'directory' | 'commands' | 'store' | 'fleet' | 'clock' | 'recompute'>;

/** Rollouts: where each stands, what it rests on, and what a person has done with one. */
export function rolloutRoutes(app: App, parts: Parts): void {
  listRoute(app, parts);
  detailRoute(app, parts);
  evidenceRoute(app, parts);
  actionRoute(app, parts);
}

function listRoute(app: App, { directory }: Parts): void {
  app.route({
    method: 'GET',
    url: '/api/v1/rollouts',
    schema: {
      tags: ['rollouts'],
      summary: 'List rollouts',
      querystring: Type.Object(PageQuery, { additionalProperties: false }),
      response: answers(RolloutPage),
    },
    handler: async ({ query }, reply) => {
      const { rollouts } = directory();
      const page: RolloutPage | null = pageOf([...rollouts.keys()].sort(), query, (name) => {
        const known = rollouts.get(name);
        return known && rolloutView(known);
      });
      return page ?? sendProblem(reply, badCursor());
    },
  });
}

const DetailQuery = Type.Object(
  {
    stage: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 15, description: 'Index of a stage; the present one unless told' }),
    ),
  },
  { additionalProperties: false },
);

function detailRoute(app: App, { directory, store, fleet, clock }: Parts): void {
  const records = createStageRecords(store);
  app.route({
    method: 'GET',
    url: '/api/v1/rollouts/:kind/:name',
    schema: {
      tags: ['rollouts'],
      summary: 'One rollout, with the sites of one of its stages, hits by rule and denied destinations',
      params: Path,
      querystring: DetailQuery,
      response: answers(RolloutDetail),
    },
    handler: async ({ params, query }, reply) => {
      const rollout = findRollout(directory().rollouts, params);
      if (rollout === undefined) return sendProblem(reply, noRollout(params));
      const { spec } = rollout;
      const stage = query.stage ?? spec.stage;
      if (stage >= spec.stages.length)
        return sendProblem(
          reply,
          problem(
            'not-found',
            `the rollout has ${plural(spec.stages.length, 'stage')}, and this is none of them`,
          ),
        );
      const current = fleet();
      current.refresh();
      const nowMs = clock.nowMs();
      const sites = stageSites(rollout, stage, directory());
      const stateOf = (site: string) => current.get(site)?.state ?? null;
      const key = stageKey(rollout, stage);
      const record = await records.read(`${params.kind}/${params.name}`, key, spec.stages[stage]);
      const [read, denied] = await Promise.all([
        readStageSites(store, { rollout, stage, record, sites, stateOf, nowMs }),
        readDenied(store, { name: params.name, nowMs, generation: spec.generation }),
      ]);
      const view = rolloutView(rollout);
      const stages = view.stages.map((one, i) =>
        i === stage && record !== null ? asRecorded(one, record) : one,
      );
      return {
        rollout: { ...view, stages },
        strategy: spec.strategy,
        promoted: spec.promoted.map(({ virtualSite, assigned: { generation, mode } }) => ({
          virtualSite,
          generation,
          mode,
        })),
        failedDigests: spec.failedDigests,
        acts: actsOf(rollout, spec.generation),
        stage,
        judgedAtMs: record?.decidedAtMs ?? null,
        sites: read.sites,
        sitesLeftOut: read.sitesLeftOut,
        rules: record === null ? [] : ruleHitsOf(record),
        denied: joinDenied(denied, read.gone, spec.generation),
        ...troublesNow(directory()),
      } satisfies RolloutDetail;
    },
  });
}

function troublesNow({ hub }: Directory): Pick<RolloutDetail, 'troubles'> {
  const troubles = hub?.spec.troubles ?? [];
  return troubles.length === 0 ? {} : { troubles };
}

const EvidenceQuery = Type.Object(
  {
    generation: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Of this one; of the one decided about last unless told' }),
    ),
    recompute: Type.Optional(
      Type.Boolean({ description: 'Ask the stored rows again, and say where the verdict differs' }),
    ),
  },
  { additionalProperties: false },
);

function evidenceRoute(app: App, { store, recompute, directory }: Parts): void {
  app.route({
    method: 'GET',
    url: '/api/v1/rollouts/:kind/:name/evidence',
    schema: {
      tags: ['rollouts'],
      summary:
        'The newest decision about each stage with all that it rested on, also of a policy that is gone',
      params: Path,
      querystring: EvidenceQuery,
      response: answers(RolloutEvidence),
    },
    handler: async (
      { params: { kind, name }, query: { generation = 0, recompute: again = false } },
      reply,
    ) => {
      if (kind !== 'Allowlist') return sendProblem(reply, noRollout({ kind, name }));
      if (again && recompute === null)
        return sendProblem(
          reply,
          problem('not-ready', 'this hub can’t recompute verdicts; leave recompute out'),
        );
      const rollout = `${kind}/${name}`;
      const decisions = await readDecisions(store, { rollout, generation }, again ? recompute : null);
      const known = findRollout(directory().rollouts, { kind, name });
      if (decisions.length === 0 && known === undefined) return sendProblem(reply, noRollout({ kind, name }));
      const shown = generation || (decisions[0]?.generation ?? known?.spec.generation ?? 0);
      const acts = known === undefined ? [] : actsOf(known, shown);
      if (decisions.length === 0 && acts.length === 0 && shown !== known?.spec.generation)
        return sendProblem(reply, noGeneration({ kind, name }, shown));
      return { kind, name, generation: shown, acts, decisions } satisfies RolloutEvidence;
    },
  });
}

function actionRoute(app: App, { directory, commands }: Parts): void {
  app.route({
    method: 'POST',
    url: '/api/v1/rollouts/:kind/:name/:action',
    schema: {
      tags: ['rollouts'],
      summary: 'Promote, pause, resume, roll back or retry a rollout',
      description:
        '`promote` takes a stage that has passed on to the next one. `rollback` returns the stage on its way to what it was promoted to before. `retry` has sites that refused it try it again, and begins a stage that has not passed, also one that failed, anew.',
      params: Type.Object({ ...Path.properties, action: Type.Enum(ROLLOUT_ACTIONS) }),
      response: answers(Applied),
    },
    handler: async ({ params, principal }, reply) => {
      const { kind, name, action } = params;
      if (kind !== 'Allowlist' || findRollout(directory().rollouts, params) === undefined)
        return sendProblem(reply, noRollout(params));
      const wanted = { verb: 'rollout', action, kind, name } as const;
      const done = await commands().submit(principal, resourceKey(kind, name), wanted);
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind: 'Rollout', name } satisfies Applied;
    },
  });
}

function actsOf({ spec }: Rollout, generation: number) {
  return spec.acts.filter((one) => one.generation === generation);
}

function findRollout<R>(rollouts: ReadonlyMap<string, R>, { kind, name }: { kind: string; name: string }) {
  return kind === 'Allowlist' ? rollouts.get(rolloutName(kind, name)) : undefined;
}

function noGeneration({ kind, name }: { kind: string; name: string }, generation: number): Problem {
  return problem(
    'not-found',
    `nothing is recorded of generation ${generation} of ${kind} ${name}; \`plumbline rollout evidence ${kind.toLowerCase()}/${name}\` has the one decided about last`,
  );
}

function noRollout({ kind, name }: { kind: string; name: string }): Problem {
  return problem(
    'not-found',
    `there is no rollout of ${kind} ${name}; \`plumbline get rollouts\` lists them, and \`plumbline apply\` begins one`,
  );
}
