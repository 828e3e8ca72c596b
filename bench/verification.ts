import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../adapters/clickhouse/open.ts';
import type { PolicyStatus } from '../core/model/policy-report.ts';
import { verifyStage } from '../core/policy/verify.ts';
import type { Store } from '../core/ports/store.ts';
import { createEvidence } from '../policy/evidence/evidence.ts';
import { reportRow } from '../test/contract/store-rows.ts';
import { newest, question } from '../test/parts/policy-evidence.ts';
import { policyStatus } from '../test/parts/policy-report.ts';
import { policyRow } from '../test/policy/evidence/histories.ts';
import { type BenchResult, cpuSeconds, median, silent } from './result.ts';

/*
 * What an evaluation of a stage costs: 3,000 sites, ten minutes of soak at ten seconds, ten rules each, in process. The
 * reports of the ten minutes before are there as well, inserted as they come: a tick of all sites a batch.
 */
const SITES = 3000;
const TICK_MS = 10_000;
const BEFORE = 61;
const DURING = 62;
const RULES = 10;
const ROUNDS = 7;
const BOOT = '00000001-0a1b2c3d';

export async function run(): Promise<BenchResult> {
  const path = mkdtempSync(join(tmpdir(), 'plumbline-bench-'));
  const store = openStore({ path }, { logger: silent });
  try {
    await store.start();
    return await measure(store);
  } finally {
    await store.stop();
    rmSync(path, { recursive: true, force: true });
  }
}

async function measure(store: Store): Promise<BenchResult> {
  const sites = Array.from({ length: SITES }, (_, i) => `site-${String(i).padStart(4, '0')}`);
  const startedAtMs = Math.floor(Date.now() / TICK_MS) * TICK_MS - (DURING + 1) * TICK_MS;
  const asked = question({
    sites,
    startedAtMs,
    decidedAtMs: startedAtMs + DURING * TICK_MS,
    newRules: ['rule-0'],
  });
  for (let tick = -BEFORE; tick < DURING; tick++)
    await insertTick(store, sites, startedAtMs + tick * TICK_MS, tick);
  const evidence = createEvidence({ store });
  const gathers: number[] = [];
  const verdicts: number[] = [];
  const walls: number[] = [];
  let said = '';
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    let gathered = await evidence.gather({ ...asked, sites: sites.slice(0, 1) });
    walls.push(performance.now() - began);
    gathers.push(
      await cpuSeconds(async () => {
        gathered = await evidence.gather(asked);
      }),
    );
    verdicts.push(
      await cpuSeconds(() => {
        const verdict = verifyStage(asked, gathered);
        said = `${verdict.verdict}, ${verdict.sites.filter((one) => one.verdict === 'pass').length} sites pass`;
      }),
    );
  }
  return {
    title: 'Verification of a stage',
    columns: ['what', 'CPU-seconds an evaluation, median', 'largest'],
    rows: [
      ['evidence of 3,000 sites from the store', figure(median(gathers)), figure(Math.max(...gathers))],
      ['verdict', figure(median(verdicts)), figure(Math.max(...verdicts))],
    ],
    notes: [
      `${SITES} sites, ${DURING} reports of each in the stage and ${BEFORE} before, ${RULES} rules; ${ROUNDS} rounds, all threads of the process counted (${said}).`,
      `One site alone takes ${Math.round(median(walls))} ms.`,
    ],
  };
}

function figure(seconds: number): string {
  return seconds.toFixed(2);
}

async function insertTick(store: Store, sites: readonly string[], ts: number, tick: number): Promise<void> {
  const seq = tick + BEFORE + 1;
  const reports = sites.map((site) => reportRow({ site, seq, tsMs: ts, payload: Buffer.from('{}') }));
  await store.insert('report', reports);
  if (tick < 0) return;
  const said = statusAt(tick, ts);
  const rows = sites.map((site) =>
    policyRow({ site, boot: BOOT, seq, ts, receivedAtMs: ts + 120, score: 95 }, said),
  );
  await store.insert('policy_report', rows);
}

function statusAt(tick: number, ts: number): PolicyStatus {
  return policyStatus({
    rules: Array.from({ length: RULES }, (_, i) => ({
      rule: `rule-${i}`,
      hits: tick * 3 + i,
      probeHits: tick,
    })),
    probes: newest().probes.map((probe) => ({ ...probe, atMs: ts - 100 })),
  });
}
