/** Control's part in policy, on real tables, with sites that do at once what they are told. */

import { Compile } from 'typebox/compile';
import type { Strategy } from '../../core/model/allowlist.ts';
import type { Command } from '../../core/model/resource.ts';
import type { Rollout } from '../../core/model/rollout.ts';
import { Envelope, KEYS_KEY, SignedBody, type TargetBody } from '../../core/model/signed.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { desiredState } from '../../core/policy/desired-state.ts';
import type { SiteEvidence, StageQuestion, StageVerdict } from '../../core/policy/evidence.ts';
import { openEnvelope } from '../../core/policy/sign.ts';
import type { TableView } from '../../core/ports/table.ts';
import { stageKey } from '../../policy/evidence/evidence.ts';
import type { Settled, Sighting } from '../../policy/evidence/late.ts';
import { evidence, newest } from '../parts/policy-evidence.ts';
import { type Engine, newSite, openParts, siteState, until, virtualSite } from './control-parts.ts';

const envelopes = Compile(Envelope);

export const QUICK = { soak: '1s', minHits: 1, minHitsTotal: 1 } as const;
const TEST_THEN_PROD: Strategy = {
  stages: [
    { virtualSite: 'test', verify: QUICK },
    { virtualSite: 'prod', verify: QUICK },
  ],
};

export function allowlist(
  name: string,
  hosts: readonly string[],
  rollout: Strategy = TEST_THEN_PROD,
): Command['do'] {
  const egress = hosts.map((host) => ({ name: host.split('.')[0] ?? host, to: [`https://${host}`] }));
  return {
    verb: 'apply',
    document: {
      apiVersion: 'plumbline.io/v1',
      kind: 'Allowlist',
      metadata: { name },
      spec: { workloads: { matchLabels: { app: 'checkout' } }, egress },
      rollout,
    },
  };
}

export const move = (action: 'promote' | 'pause' | 'resume' | 'rollback' | 'retry', name = 'payments') =>
  ({ verb: 'rollout', action, kind: 'Allowlist', name }) as const;

/** The documents of a table, opened with the keys that count. */
function reading(specs: TableView, targets: TableView) {
  const body = (bytes: Uint8Array | undefined): SignedBody | null => {
    const envelope: unknown = bytes === undefined ? null : JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (!envelopes.Check(envelope)) return null;
    const keys = keysIn(targets);
    const opened = openEnvelope(envelope, keys);
    if (!opened.ok) throw new Error(`${opened.code}: ${opened.detail}`);
    return opened.body;
  };
  return {
    body: (table: 'specs' | 'targets', key: string) => body((table === 'specs' ? specs : targets).get(key)),
    target(name: string): TargetBody | null {
      const found = body(targets.get(`default/Allowlist/${name}`));
      return found?.type === 'target' ? found : null;
    },
    targets(): TargetBody[] {
      const bodies = [...targets.entries()].map(([key, bytes]) =>
        key.startsWith(`${KEYS_KEY}/`) ? null : body(bytes),
      );
      return bodies.flatMap((one) => (one?.type === 'target' ? [one] : []));
    },
  };
}

/** The keys of the newest keyring, which vouches for itself here. */
function keysIn(targets: TableView) {
  const bytes = targets.get(KEYS_KEY);
  const envelope: { payload: string } = JSON.parse(Buffer.from(bytes ?? '{}').toString('utf8'));
  const body: unknown = JSON.parse(envelope.payload);
  return Compile(SignedBody).Check(body) && body.type === 'keys' ? body.keys : [];
}

/** What the store knows of a site: `own` is its standing, `sinceOf` says since when it has a generation. */
function evidenceOf(
  question: StageQuestion,
  site: string,
  own: NonNullable<SiteState['policies']>[number] | undefined,
  sinceOf: (key: string) => number | undefined,
): SiteEvidence {
  const newestReceivedAtMs = question.decidedAtMs - 1000;
  const basis = { site, newestReceivedAtMs, newestMadeAtMs: newestReceivedAtMs };
  if (own === undefined) return evidence({ ...basis, newest: null, appliedSinceMs: null });
  const { generation, mode, unexpectedDenies } = own;
  const rules = question.newRules.map((rule) => ({ rule, hits: 5, probeHits: 0 }));
  return evidence({
    ...basis,
    newest: newest({
      ...own,
      rules: [...rules, { rule: 'any', hits: 5, probeHits: 0 }],
      unexpectedDenies,
      probes: [],
    }),
    appliedSinceMs: sinceOf(`${site} ${question.name} ${generation} ${mode}`) ?? null,
  });
}

/** What was recorded: verdicts that settle something, by the stage that they were recorded under. */
function recordings() {
  const recorded: Record<string, Map<string, Settled>> = {};
  /** As the store has it: a fail stays the one that counts, in whatever range that has it. */
  const fails: { key: string; site: string; settled: Settled }[] = [];
  return {
    recorded,
    record: async (
      question: StageQuestion,
      verdict: StageVerdict,
      _: unknown,
      decidedAtMs: number,
      lateOf = question.startedAtMs,
    ) => {
      const key = stageKey({ ...question, startedAtMs: lateOf });
      recorded[key] ??= new Map();
      for (const { site, verdict: one, reasons } of verdict.sites) {
        if (one === 'inconclusive') continue;
        const settled = { verdict: one, decidedAtMs, reasons: reasons.map(({ text }) => text) };
        recorded[key].set(site, settled);
        if (one === 'fail') fails.unshift({ key, site, settled });
      }
    },
    settled: async (_: string, wanted: string, fromMs: number) => {
      const failed = fails.filter(({ key }) => key === wanted);
      const all = [
        ...(recorded[wanted] ?? []),
        ...failed.map(({ site, settled }) => [site, settled] as const),
      ];
      return new Map(all.filter(([, { decidedAtMs }]) => decidedAtMs >= fromMs));
    },
  };
}

/** Sites that have applied what their target says as soon as they are asked, and what the store then knows of them. */
function fleetOf(
  sites: Record<string, Record<string, string>>,
  targets: () => TargetBody[],
  nowMs: () => number,
) {
  const since = new Map<string, number>();
  /** Sites at which things go wrong. */
  const failing = new Set<string>();
  const standing = (site: string, labels: Record<string, string>): NonNullable<SiteState['policies']> =>
    targets().flatMap((target) => {
      const { assigned, version, kind, name } = desiredState({ id: site, labels }, target);
      if (assigned === null) return [];
      const { generation, digest, mode } = assigned;
      const key = `${site} ${name} ${generation} ${mode}`;
      if (!since.has(key)) since.set(key, nowMs());
      const unexpectedDenies = failing.has(site) ? 3 : 0;
      return [
        {
          kind,
          name,
          seen: version,
          generation,
          digest,
          mode,
          phase: 'applied',
          live: true,
          unexpectedDenies,
        } as const,
      ];
    });
  const gathered = (question: StageQuestion, site: string): SiteEvidence => {
    const own = standing(site, sites[site] ?? {}).find(({ name }) => name === question.name);
    return evidenceOf(question, site, own, (key) => since.get(key));
  };
  const { recorded, record, settled } = recordings();
  const asked: StageQuestion[] = [];
  return {
    failing,
    /** What was asked, and the verdicts that settle something by the stage that they were recorded under. */
    asked,
    recorded,
    states: () =>
      Object.entries(sites).map(([site, labels]) =>
        siteState(site, nowMs(), { policies: standing(site, labels) }),
      ),
    evidence: {
      gather: async (question: StageQuestion) => {
        asked.push(question);
        return question.sites.map((site) => gathered(question, site));
      },
      record,
      settled,
      firstSeen: async ({ name, fromMs, sites: wanted }: Sighting) =>
        new Map(
          wanted.flatMap((site) => {
            const own = standing(site, sites[site] ?? {}).find((one) => one.name === name);
            const key = `${site} ${name} ${own?.generation} ${own?.mode}`;
            const seenAtMs = Math.max(fromMs + 1, since.get(key) ?? 0);
            return own === undefined ? [] : [[site, seenAtMs] as const];
          }),
        ),
    },
  };
}

export const SITES = { 'test-1': { env: 'test' }, 'prod-1': { env: 'prod' }, 'prod-2': { env: 'prod' } };

export async function openPolicyParts(
  sites: Record<string, Record<string, string>> = SITES,
  engine?: Engine,
) {
  const parts = await openParts(engine);
  const specs = await parts.table.view('specs');
  const targets = await parts.table.view('targets');
  const documents = reading(specs, targets);
  const fleet = fleetOf(sites, documents.targets, parts.clock.nowMs);
  const rollout = (name = 'payments'): Rollout | undefined => parts.resource('Rollout', `allowlist-${name}`);
  return {
    ...parts,
    ...documents,
    views: { specs, targets },
    fleet,
    rollout,
    given: () => ({ ...parts.given(), evidence: fleet.evidence }),
    control: (part: Parameters<typeof parts.control>[0] = {}) =>
      parts.control({ evidence: fleet.evidence, ...part }),
    /** Registers the sites, and virtual sites `test` and `prod`. */
    async settle() {
      for (const [site, labels] of Object.entries(sites)) await parts.ask(newSite(site, labels));
      for (const env of ['test', 'prod']) await parts.ask(virtualSite(env, `env=${env}`));
    },
    /** Lets time pass, and sites follow and report, until a rollout is where it is wanted. */
    async reach(phase: Rollout['spec']['phase'], stage = 0, name = 'payments'): Promise<Rollout> {
      return until(
        `${name} is ${phase} at stage ${stage}: it is ${JSON.stringify(rollout(name)?.spec)}`,
        async () => {
          const found = rollout(name);
          if (found?.spec.phase === phase && found.spec.stage === stage) return found;
          parts.clock.advance(1000);
          await parts.say(...fleet.states());
          return false;
        },
      );
    },
    async close() {
      await specs.close();
      await targets.close();
      await parts.close();
    },
  };
}
