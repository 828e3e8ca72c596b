import type { Mode, ProbeRequest, Stage, Strategy } from '../model/allowlist.ts';

/** A stage with every default filled in. Durations in ms, shares from 0 to 1. */
export type StagePlan = {
  virtualSite: string;
  mode: Mode;
  probes: readonly ProbeRequest[];
  soakMs: number;
  minHits: number;
  minHitsTotal: number;
  maxUnexpectedDenies: number;
  maxScoreDrop: number;
  minConclusive: number;
  maxFailures: number;
  maxConcurrency: { sites: number } | { share: number };
  progressDeadlineMs: number;
};

/** Defaults of a stage: stated in docs/policy-authoring.md. */
export function stagePlan(stage: Stage): StagePlan {
  const { verify = {} } = stage;
  return {
    virtualSite: stage.virtualSite,
    mode: stage.mode ?? 'enforce',
    probes: stage.probes ?? [],
    soakMs: durationMs(verify.soak ?? '10m'),
    minHits: verify.minHits ?? 1,
    minHitsTotal: verify.minHitsTotal ?? 1,
    maxUnexpectedDenies: verify.maxUnexpectedDenies ?? 0,
    maxScoreDrop: verify.maxScoreDrop ?? 100,
    minConclusive: share(verify.minConclusive ?? '80%'),
    maxFailures: verify.maxFailures ?? 0,
    maxConcurrency: amount(stage.maxConcurrency ?? '100%'),
    progressDeadlineMs: durationMs(stage.progressDeadline ?? '24h'),
  };
}

export function onFailure(strategy: Strategy): 'rollback' | 'pause' {
  return strategy.onFailure ?? 'rollback';
}

/** "90s", "10m", "24h", "7d" in ms; the schema has checked the form. */
export function durationMs(text: string): number {
  const unit = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[text.slice(-1)] ?? 0;
  return Number(text.slice(0, -1)) * unit;
}

function share(text: string): number {
  return Number(text.slice(0, -1)) / 100;
}

function amount(value: number | string): StagePlan['maxConcurrency'] {
  return typeof value === 'number' ? { sites: value } : { share: share(value) };
}
