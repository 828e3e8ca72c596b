import type { ProbeResult } from '../model/policy-report.ts';
import type { Workload } from './enforcer.ts';

/** Where a probe tries to connect to; the name has been looked up. */
export type ProbeTarget = { address: string; port: number; protocol: 'TCP' | 'UDP' };
export type ProbeMeeting = Pick<ProbeResult, 'outcome' | 'control' | 'detail'>;

/*
 * Connects as a workload would: under its identity, from a source port that the dataplane counts apart; and once more as the
 * collector itself, whom no policy holds back. Settles within a few seconds. What it can't do is `unable`, never a guess.
 * Over UDP `connected` means that an answer came, and `refused` that a filter said so; silence is `no-answer` and neither.
 */
export interface WorkloadProber {
  probe(workload: Workload, target: ProbeTarget): Promise<ProbeMeeting>;
  stop(): Promise<void>;
}
