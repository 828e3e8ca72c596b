/** What a benchmark prints: one table and what to know when reading it. */
export type BenchResult = {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  notes: readonly string[];
};

/** What may be asked of a benchmark on the command line. */
export type BenchOptions = { forMs?: number };

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** Processor seconds of this whole process, all threads, native ones too. */
export async function cpuSeconds(act: () => Promise<unknown> | unknown): Promise<number> {
  const began = process.cpuUsage();
  await act();
  const used = process.cpuUsage(began);
  return (used.user + used.system) / 1e6;
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} };
