import { firstFew } from '../../first-few.ts';
import { plural } from '../../plural.ts';
import type { SiteEvidence, StageQuestion } from '../evidence.ts';
import { type Found, reason } from './reasons.ts';

type Rules = NonNullable<SiteEvidence['newest']>['rules'];

/** New connections that each rule decided in this stage, those of probes and of earlier stages apart. */
export function hitsOf({ newest, hitsBefore }: SiteEvidence): Map<string, number> {
  const before = new Map(hitsBefore.map(({ rule, hits }) => [rule, hits]));
  const rules: Rules = newest?.rules ?? [];
  return new Map(rules.map(({ rule, hits }) => [rule, Math.max(0, hits - (before.get(rule) ?? 0))]));
}

/** Of the generation: a connection that several rules match counts with each. */
export function totalOf(hits: ReadonlyMap<string, number>): number {
  return [...hits.values()].reduce((sum, some) => sum + some, 0);
}

/** Since the stage began, also when a later report began again at zero. */
export function unexpectedOf({ newest, ever, unexpectedBefore }: SiteEvidence): number {
  return Math.max(0, Math.max(ever.unexpectedDenies, newest?.unexpectedDenies ?? 0) - unexpectedBefore);
}

export function traffic(question: StageQuestion, evidence: SiteEvidence): Found[] {
  const { generation, minHits, newRules, probes } = question;
  const hits = hitsOf(evidence);
  const total = totalOf(hits);
  const found: Found[] = [];
  if (total < minHits)
    found.push(
      reason(
        'no-traffic',
        `generation ${generation} let ${plural(total, 'new connection')} through, of ${minHits} wanted${onlyProbes(total, evidence)}`,
      ),
    );
  const without = newRules.filter((rule) => (hits.get(rule) ?? 0) < minHits);
  if (without.length > 0)
    found.push(
      reason(
        'rule-without-traffic',
        `fewer than ${plural(minHits, 'hit')} by ${without.length} of ${plural(newRules.length, 'new rule')}: ${firstFew(without.map((rule) => `${rule} ${hits.get(rule) ?? 0}`))}`,
      ),
    );
  if (total === 0 && minHits === 0 && probes.length === 0)
    found.push(
      reason(
        'no-proof',
        'no hits are wanted and no probes declared, so nothing shows that it decides anything',
      ),
    );
  return found;
}

function onlyProbes(total: number, { newest }: SiteEvidence): string {
  const probed = newest?.rules.reduce((sum, { probeHits }) => sum + probeHits, 0) ?? 0;
  return total === 0 && probed > 0 ? ` (and ${probed} of the site's own probes, which don't count)` : '';
}

export function unexpected(question: StageQuestion, evidence: SiteEvidence): Found | null {
  const count = unexpectedOf(evidence);
  if (count <= question.maxUnexpectedDenies) return null;
  const were = count === 1 ? 'was' : 'were';
  const denied = question.mode === 'audit' ? 'would have been denied' : `${were} denied`;
  const destinations = (evidence.newest?.denied ?? [])
    .filter(({ kind }) => kind === 'unexpected')
    .sort((a, b) => b.count - a.count)
    .map(
      ({ workload, name, address, port, protocol }) =>
        `${workload} to ${name ?? address}:${port}/${protocol}`,
    );
  const named = destinations.length === 0 ? '' : `: ${firstFew(destinations)}`;
  return reason(
    'unexpected-denies',
    `${plural(count, 'connection')} ${denied} that ${were} let through before (${question.maxUnexpectedDenies} allowed)${named}`,
  );
}
