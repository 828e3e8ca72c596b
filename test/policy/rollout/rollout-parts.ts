/** Rollouts without a hub: what is seen is made up. */
import type { Strategy } from '../../../core/model/allowlist.ts';
import type { Verdict } from '../../../core/model/rollout.ts';
import { digestOf } from '../../../core/policy/digest.ts';
import type { StageVerdict } from '../../../core/policy/evidence.ts';
import type { RolloutSpec } from '../../../policy/rollout/assigned.ts';
import { begin } from '../../../policy/rollout/start.ts';
import type { Seen, SiteStanding } from '../../../policy/rollout/step.ts';

export const NOON = Date.UTC(2026, 0, 15, 12);
export const MINUTE_MS = 60_000;

const TEST_THEN_PROD: Strategy = { stages: [{ virtualSite: 'test' }, { virtualSite: 'prod' }] };

type Beginning = Parameters<typeof begin>[0];

function beginning(part: Partial<Beginning> & { generation?: number; strategy?: Strategy } = {}) {
  const { generation = 1, strategy = TEST_THEN_PROD, ...rest } = part;
  const spec = { workloads: '', egress: [] };
  const digest = digestOf([spec, generation]);
  return begin({
    name: 'payments',
    allowlist: { spec, rollout: strategy, generation, digest },
    before: null,
    promoted: part.before?.promoted ?? [],
    version: { epoch: 1, n: 0 },
    authors: ['ada'],
    asker: { by: 'ada', role: 'author' },
    awaitsApproval: false,
    nowMs: NOON,
    ...rest,
  });
}

export function started(part: Parameters<typeof beginning>[0] = {}): RolloutSpec {
  return beginning(part).spec;
}

export function standing(site: string, part: Partial<SiteStanding> = {}): SiteStanding {
  return { site, isReachable: true, isSettled: true, isApplied: true, isHeardSince: true, ...part };
}

function verdictOf(verdict: Verdict, sites: readonly string[], text = `they ${verdict}`): StageVerdict {
  return {
    verdict,
    reasons: [{ code: verdict, text }],
    sites: sites.map((site) => ({ site, verdict, reasons: [] })),
    hits: 10,
    unexpectedDenies: 0,
  };
}

/** All of two sites have what the stage brings. */
export function seen(verdict: Verdict | null, part: Partial<Seen> = {}): Seen {
  const sites = part.sites ?? [standing('a'), standing('b')];
  const names = sites.map(({ site }) => site);
  return {
    sites,
    verdict: verdict === null ? null : verdictOf(verdict, names),
    minSoakMs: 0,
    mayGoOn: true,
    ...part,
  };
}
