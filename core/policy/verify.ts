import { firstFew } from '../first-few.ts';
import { plural } from '../plural.ts';
import type { Reason, SiteEvidence, SiteVerdict, StageQuestion, StageVerdict } from './evidence.ts';
import { completeness, freshness } from './verification/completeness.ts';
import { probes } from './verification/probes.ts';
import { type Found, REASONS, reason } from './verification/reasons.ts';
import { scoreDrop } from './verification/score-drop.ts';
import { standing } from './verification/standing.ts';
import { hitsOf, totalOf, traffic, unexpected, unexpectedOf } from './verification/traffic.ts';

/*
 * From recorded evidence to a verdict, by the table of docs/verification.md. Pure, so that a decision made today comes out
 * again from the rows it rested on (VERIFIER_VERSION says by which rules).
 *
 * - Only `pass` lets anything go on, and it needs every condition to be known and met: what is missing is never taken for good.
 * - `fail` rests on what the very generation, digest and mode did while it was applied and live, or on the site's refusal
 *   of it. A failure that was seen stays one, also when the evidence has gone stale or has holes since.
 */

export function verifySite(question: StageQuestion, evidence: SiteEvidence): SiteVerdict {
  const { site } = evidence;
  const notStanding = standing(question, evidence);
  const found =
    notStanding === null ? judge(question, evidence) : [notStanding, ...seenBefore(question, evidence)];
  if (notStanding?.code === 'not-applicable') found.push(...freshness(question, evidence));
  return { site, ...conclude(found) };
}

function judge(question: StageQuestion, evidence: SiteEvidence): Found[] {
  const found: (Found | null)[] = [
    unexpected(question, evidence),
    ...probes(question, evidence),
    scoreDrop(question, evidence),
    ...traffic(question, evidence),
    ...completeness(question, evidence),
  ];
  return found.filter((one) => one !== null);
}

/** What it did while it was applied and live counts also once it is not any more. */
function seenBefore(question: StageQuestion, evidence: SiteEvidence): Found[] {
  const found = unexpected(question, { ...evidence, newest: null });
  return found === null ? [] : [found];
}

/** The worst of them counts, and comes first; nothing at all is a pass. */
function conclude(found: readonly Found[]): Omit<SiteVerdict, 'site'> {
  for (const verdict of ['fail', 'inconclusive', 'not-applicable'] as const) {
    const those = found.filter(({ code }) => REASONS[code] === verdict);
    if (those.length === 0) continue;
    const others = found.filter(({ code }) => REASONS[code] !== verdict);
    return { verdict, reasons: [...those, ...others] };
  }
  return { verdict: 'pass', reasons: [] };
}

/** Sites that the question names and nothing is known of are inconclusive; evidence of others is left aside. */
export function verifyStage(question: StageQuestion, evidence: readonly SiteEvidence[]): StageVerdict {
  const bySite = new Map(evidence.map((one) => [one.site, one]));
  const sites: SiteVerdict[] = [];
  let hits = 0;
  let unexpectedDenies = 0;
  let proven = 0;
  for (const site of new Set(question.sites)) {
    const one = bySite.get(site);
    const verdict = one === undefined ? unheard(site) : verifySite(question, one);
    sites.push(verdict);
    if (one === undefined) continue;
    const counted = countedOf(question, one);
    const total = totalOf(counted.hits);
    unexpectedDenies += counted.unexpectedDenies;
    hits += total;
    if (verdict.verdict === 'pass') proven += total;
  }
  return { ...weigh(question, sites, proven), sites, hits, unexpectedDenies };
}

/**
 * What a stage counts of a site, by rule and of unexpected denies: of its own time alone. Where the stage's generation does not
 * stand, no hit proves anything, and what was denied while it did still counts.
 */
export function countedOf(
  question: StageQuestion,
  evidence: SiteEvidence,
): { hits: ReadonlyMap<string, number>; unexpectedDenies: number } {
  const isStanding = standing(question, evidence) === null;
  return {
    hits: isStanding ? hitsOf(evidence) : new Map(),
    unexpectedDenies: unexpectedOf(isStanding ? evidence : { ...evidence, newest: null }),
  };
}

function unheard(site: string): SiteVerdict {
  return {
    site,
    verdict: 'inconclusive',
    reasons: [reason('no-report', 'nothing is recorded of this site')],
  };
}

function weigh(
  question: StageQuestion,
  sites: readonly SiteVerdict[],
  provenHits: number,
): Pick<StageVerdict, 'verdict' | 'reasons'> {
  const { maxFailures, minConclusive, minHitsTotal } = question;
  const of = (verdict: SiteVerdict['verdict']) => sites.filter((one) => one.verdict === verdict);
  const failed = of('fail');
  const passed = of('pass').length;
  const applicable = sites.length - of('not-applicable').length;
  const open = of('inconclusive').map(({ site }) => site);
  const found: Found[] = [];
  if (sites.length === 0)
    found.push(reason('no-sites', 'the stage has no sites, so nothing can show that it works'));
  else if (applicable === 0)
    found.push(
      reason(
        'no-applicable-site',
        `the policy selects no workload at any of ${plural(sites.length, 'site')}`,
      ),
    );
  if (failed.length > maxFailures)
    found.push(
      reason(
        'too-many-failures',
        `${failed.length} of ${plural(applicable, 'site')} failed, ${maxFailures} may: ${firstFew(failed.map(({ site }) => site))}`,
      ),
    );
  if (applicable > 0 && (passed === 0 || passed < minConclusive * applicable - 1e-9))
    found.push(
      reason(
        'too-few-passed',
        `${passed} of ${plural(applicable, 'site')} passed; ${Math.round(minConclusive * 100)}% have to, and at least one`,
      ),
    );
  if (applicable > 0 && provenHits < minHitsTotal)
    found.push(
      reason(
        'too-few-hits',
        `${plural(provenHits, 'hit')} at the sites that passed, of ${minHitsTotal} wanted of the stage`,
      ),
    );
  const { verdict, reasons } = conclude(found);
  // What was not shown either is no news where something was shown to be wrong.
  const own = verdict === 'fail' ? reasons.filter(({ code }) => code === 'too-many-failures') : reasons;
  if (verdict !== 'pass') return { verdict, reasons: [...own, ...byCode(sites)].slice(0, 16) };
  const left = [...failed.map(({ site }) => site), ...open];
  const unproven = reason('unproven', `no proof of ${plural(left.length, 'site')}: ${firstFew(left, 10)}`);
  return { verdict, reasons: left.length === 0 ? [] : [unproven, ...byCode(sites)].slice(0, 16) };
}

/** What the sites say, the same reason of several of them once; most frequent first, failures before all. */
function byCode(sites: readonly SiteVerdict[]): Reason[] {
  const groups = new Map<string, { first: Reason; sites: string[]; fails: boolean }>();
  for (const { site, verdict, reasons } of sites) {
    if (verdict === 'not-applicable') continue;
    for (const one of reasons) {
      const group = groups.get(one.code) ?? { first: one, sites: [], fails: verdict === 'fail' };
      group.sites.push(site);
      groups.set(one.code, group);
    }
  }
  return [...groups.values()]
    .sort((a, b) => Number(b.fails) - Number(a.fails) || b.sites.length - a.sites.length)
    .map(({ first, sites: where }) => {
      const [example = ''] = where;
      const at = where.length === 1 ? example : `${where.length} sites (${firstFew(where)}), as ${example}`;
      return { code: first.code, text: `${at}: ${first.text}`.slice(0, 300) };
    });
}
