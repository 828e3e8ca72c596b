import { compareBoots, isNewer } from '../core/account.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Authentic } from './authenticate.ts';
import { bootOf, identityOf, type Known } from './known.ts';
import type { Memory, SiteMemory } from './memory.ts';
import { type Refusal, refuse, type Step } from './step.ts';

/** A report that has its place in the ledger. */
export type Accounted = Authentic & {
  /** The very same report was accepted before: its rows are written again, which changes nothing. */
  repeated: boolean;
  /** It is the site's newest on the live lane, so that its state follows it; backfill never is. */
  moves: boolean;
  previous: SiteState | null;
};

/**
 * Third step: is it new, the same again, or another report under an identity that is taken? Two collectors with one
 * identity show as two boots: on the live lane only the newest may speak, and two boots can't share a counter.
 */
export function account(authentic: Authentic, memory: Memory, known: Known): Step<Accounted> {
  const { report, record, hash } = authentic;
  const { site, boot, seq } = report;
  const remembered = memory.of(site);
  const isLive = record.topic === 'reports';
  const identity = identityOf(site, boot, seq);
  const before = hashBefore(remembered, authentic, known.hashes.get(identity));
  if (before !== undefined && before !== hash)
    return refuse(
      'conflict',
      `boot ${boot} report ${seq} came before with other content (${before}, now ${hash}); two collectors share one identity: remove one and join it as a site of its own`,
      report,
    );
  if (before === undefined) {
    const other = otherBoot(remembered, boot, isLive);
    if (other !== null) return refuseBoot(other, boot, authentic);
  }
  const state = remembered.state;
  const moves = isLive && (state === null || isNewer(report, state));
  // All of it, since memory keeps the last few only, and nothing of this batch is in the store yet.
  known.hashes.set(identity, hash);
  const stored = known.newest.size === 0 ? undefined : known.newest.get(bootOf(site, boot));
  if (stored !== undefined && seq > stored) known.newest.set(bootOf(site, boot), seq);
  if (moves || boot === remembered.boot) memory.remember(remembered, boot, seq, hash, stored);
  return {
    ok: true,
    value: { ...authentic, repeated: before !== undefined, moves, previous: state },
  };
}

function hashBefore(
  remembered: SiteMemory,
  { report: { boot, seq } }: Authentic,
  known: string | undefined,
): string | undefined {
  const recent = remembered.boot === boot ? remembered.recent.get(seq) : undefined;
  return recent ?? known ?? hashInState(remembered, boot, seq);
}

/** The newest report is in the state too, should the store have it no longer. */
function hashInState({ state }: SiteMemory, boot: string, seq: number): string | undefined {
  return state !== null && state.boot === boot && state.seq === seq ? state.payloadHash : undefined;
}

/** The boot that contradicts this one, or null. */
function otherBoot({ boot: newest }: SiteMemory, boot: string, isLive: boolean): string | null {
  if (newest === '' || newest === boot) return null;
  const order = compareBoots(boot, newest);
  return order === 0 || (isLive && order < 0) ? newest : null;
}

function refuseBoot(newest: string, boot: string, { report }: Authentic): Refusal {
  const how =
    compareBoots(boot, newest) === 0
      ? `boots ${newest} and ${boot} have the same counter`
      : `boot ${boot} still reports live after boot ${newest} began`;
  return refuse(
    'conflict',
    `${how}; two collectors share one identity: stop one, remove its spool and join it as a site of its own`,
    report,
  );
}
