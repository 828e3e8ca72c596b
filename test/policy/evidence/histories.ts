import type { PolicyStatus } from '../../../core/model/policy-report.ts';
import type { RowOf } from '../../../core/model/rows.ts';
import type { StageQuestion } from '../../../core/policy/evidence.ts';
import { randomFrom } from '../../../simulator/prng.ts';
import { FIRST_BOOT, reportRow } from '../../contract/store-rows.ts';
import type { Recorded } from '../../parts/evidence-fold.ts';
import { question } from '../../parts/policy-evidence.ts';
import { policyStatus } from '../../parts/policy-report.ts';

/** Twenty minutes before the last midnight: recent, since the store forgets by the real clock, and over two partitions. */
const STARTED_MS = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 400_000;
const SECOND_BOOT = '00000002-ffee0011';

export type History = Recorded & { site: string; rows: RowOf<'report'>[]; quarantine: RowOf<'quarantine'>[] };

export function stage(sites: string[]): StageQuestion {
  return question({ sites, startedAtMs: STARTED_MS, decidedAtMs: STARTED_MS + 615_000 });
}

type Said = {
  site: string;
  boot: string;
  seq: number;
  ts: number;
  receivedAtMs: number;
  score: number | null;
};

export function policyRow(said: Said, status: PolicyStatus, part: Partial<RowOf<'policy_report'>> = {}) {
  const { site, boot, seq, ts, receivedAtMs, score } = said;
  return {
    site,
    boot,
    seq,
    ts,
    received_at: receivedAtMs,
    interval_ms: 10_000,
    clock_offset_ms: 12,
    score,
    lost: 0,
    enforcement: 'on',
    policy_kind: status.kind,
    policy: status.name,
    seen_epoch: status.seen.epoch,
    seen_n: status.seen.n,
    generation: status.generation,
    digest: status.digest,
    mode: status.mode,
    phase: status.phase,
    live: status.live ? 1 : 0,
    workloads: status.workloads,
    counter_epoch: status.counterEpoch,
    rule: status.rules.map(({ rule }) => rule),
    hits: status.rules.map(({ hits }) => hits),
    probe_hits: status.rules.map(({ probeHits }) => probeHits),
    denies: status.denies,
    probe_denies: status.probeDenies,
    unexpected_denies: status.unexpectedDenies,
    full_sets: status.fullSets,
    detail: JSON.stringify(status),
    ...part,
  };
}

/** What a site reported around a stage, with whatever goes wrong at this seed; everything in it depends on the seed alone. */
export function history(site: string, seed: string): History {
  const random = randomFrom(seed);
  const chance = (share: number) => random() < share;
  const trouble = {
    any: chance(0.7),
    before: chance(0.5),
    audited: chance(0.3),
    restarts: chance(0.15),
    retried: chance(0.5),
    forgets: chance(0.2),
  };
  const rows: RowOf<'report'>[] = [];
  const policies: RowOf<'policy_report'>[] = [];
  const appliesAt = 61 + Math.floor(random() * 4);
  let hits = [0, 0];
  let [denies, unexpected, epoch] = [0, 0, 0];
  for (let tick = 0; tick < 128; tick++) {
    const isBad = (share: number) => trouble.any && chance(share);
    const restarted = trouble.restarts && tick >= 90;
    const ts = STARTED_MS - 605_000 + tick * 10_000;
    const receivedAtMs = ts + 100 + (isBad(0.03) ? Math.floor(random() * 90_000) : 0);
    const score = isBad(0.02) ? null : 90 + Math.floor(random() * 10);
    const said = {
      site,
      boot: restarted ? SECOND_BOOT : FIRST_BOOT,
      seq: restarted ? tick - 89 : tick + 1,
      ts,
      receivedAtMs,
      score,
    };
    if (isBad(0.005)) epoch++;
    if (isBad(0.01)) [hits, denies] = [hits.map((count) => count >> 1), 0];
    hits = hits.map((count) => count + Math.floor(random() * 3));
    denies += chance(0.1) ? 1 : 0;
    unexpected += isBad(0.005) ? 1 : 0;
    const isOn = tick >= appliesAt;
    if (trouble.any && chance(0.02)) unexpected += 2;
    if (tick === appliesAt && trouble.forgets) unexpected = Math.min(1, unexpected);
    const status = policyStatus({
      seen: { epoch: 1, n: isOn && !isBad(0.005) ? 7 : 6 },
      generation: (isOn && !isBad(0.01)) || trouble.audited ? 42 : 41,
      mode: isOn || trouble.retried ? 'enforce' : 'audit',
      phase: isBad(0.01) ? 'applying' : 'applied',
      live: !isBad(0.01),
      workloads: isBad(0.005) ? 0 : 1,
      counterEpoch: epoch,
      rules: ['payments-api', 'ledger'].map((rule, at) => ({ rule, hits: hits[at] ?? 0, probeHits: 1 })),
      denies,
      unexpectedDenies: unexpected,
      fullSets: isBad(0.005) ? 1 : 0,
    });
    if (isBad(0.01)) continue;
    rows.push(
      reportRow({ site, boot: said.boot, seq: said.seq, tsMs: ts, received_at: receivedAtMs, score }),
    );
    if (isBad(0.005) || (!isOn && !trouble.before && !trouble.audited)) continue;
    const enforcement = isBad(0.005) ? 'disarmed' : 'on';
    policies.push(policyRow(said, status, { lost: isBad(0.005) ? 2 : 0, enforcement }));
    // The very same again, later, as after a crash of whoever sends it on.
    if (chance(0.02))
      policies.push(policyRow({ ...said, receivedAtMs: receivedAtMs + 30_000 }, status, { enforcement }));
  }
  const quarantine =
    trouble.any && chance(0.1) ? [refused(site, STARTED_MS + 300_000), refused(site, STARTED_MS - 5)] : [];
  return { site, rows, policies, reports: rows, refused: quarantine, quarantine };
}

function refused(site: string, at: number): RowOf<'quarantine'> {
  const record = { lane: 'live', reason: 'schema', detail: '', boot: '', seq: 0, size_bytes: 3 };
  return { site, received_at: at, record_hash: `hash-${at}`, sample: Buffer.from('???'), ...record };
}
