import type { Disk, Report } from '../model/report.ts';
import type { Component } from '../model/score.ts';
import type { Penalty, SiteState } from '../model/site-state.ts';
import { PROBE_CAP } from './caps.ts';
import type { ComponentLoss, Scored } from './score.ts';

/** For how many intervals a probe that lost data caps what is shown. */
const PROBE_CAP_INTERVALS = 3;

/** What the stream adds to a report: when the log took it, and the hash of its bytes. */
export type Receipt = { receivedAtMs: number; payloadHash: string };

/**
 * A site's state after a newer live report. From the state before it come only what a single report can't say: since
 * when a penalty holds, and for how long probes have failed.
 */
export function nextState(
  previous: SiteState | null,
  report: Report,
  { receivedAtMs, payloadHash }: Receipt,
  scored: Scored,
): SiteState {
  const { ts, host, links = [] } = report;
  const failing = scored.probeFault !== null;
  const lostAtMs = failing ? ts : (previous?.probesLostAtMs ?? null);
  // Either way round, because a corrected clock may have stepped back.
  const held = lostAtMs !== null && Math.abs(ts - lostAtMs) <= PROBE_CAP_INTERVALS * report.intervalMs;
  const shown = held && scored.score !== null ? Math.min(PROBE_CAP, scored.score) : scored.shown;
  return {
    site: report.site,
    kind: report.kind,
    boot: report.boot,
    seq: report.seq,
    payloadHash,
    ts,
    receivedAtMs,
    intervalMs: report.intervalMs,
    clockOffsetMs: report.clockOffsetMs,
    version: report.version,
    score: scored.score,
    shown,
    caps: held ? [...scored.caps, scored.probeFault ?? 'a probe lost data a moment ago'] : scored.caps,
    components: scored.components,
    penalties: withSince(scored.losses, previous, ts),
    cpu: host?.cpu.utilization ?? null,
    memory: host?.memory.utilization ?? null,
    disk: host === undefined ? null : fullest(host.disks),
    links: { total: links.length, up: links.reduce((up, link) => up + (link.up ? 1 : 0), 0) },
    probesFailingSinceMs: failing ? (previous?.probesFailingSinceMs ?? ts) : null,
    probesLostAtMs: lostAtMs,
    ...(report.dropped.length > 0 && { dropped: report.dropped }),
    ...policiesOf(previous, report),
    discovered: report.discovered,
    ...(report.proposed !== undefined && { proposed: report.proposed }),
  };
}

/** A report without them says nothing of policies; which refusals were told is known all the same. */
function policiesOf(previous: SiteState | null, { policy }: Report): Partial<SiteState> {
  const told = Math.max(previous?.refusalsToldMs ?? -1, ...(policy?.refusals ?? []).map(({ atMs }) => atMs));
  return {
    ...(told >= 0 && { refusalsToldMs: told }),
    ...(policy && {
      enforcement: policy.enforcement,
      ...(policy.labelsSeen && { labelsSeen: policy.labelsSeen }),
      ...(policy.keyring && { keyring: policy.keyring }),
      policies: policy.policies.map(
        ({ kind, name, seen, generation, digest, mode, phase, live, unexpectedDenies }) => {
          return { kind, name, seen, generation, digest, mode, phase, live, unexpectedDenies };
        },
      ),
    }),
  };
}

/** How full the fullest of the disks is; null when there is none. */
export function fullest(disks: readonly Disk[]): number | null {
  return disks.length === 0 ? null : disks.reduce((most, disk) => Math.max(most, disk.utilization), 0);
}

function withSince(losses: readonly ComponentLoss[], previous: SiteState | null, ts: number): Penalty[] {
  const before = previous?.penalties ?? [];
  return losses.map(({ component, id, subject, points, observed }) => {
    const same = (one: { component: Component; id: string; subject: string }) =>
      one.component === component && one.id === id && one.subject === subject;
    return { component, id, subject, points, observed, sinceMs: before.find(same)?.sinceMs ?? ts };
  });
}
