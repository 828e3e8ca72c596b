import type { Direction, Hook } from './identifiers.ts';
import type { Statement } from './statement.ts';

/** What the table holds when it is as wanted. Names are identifiers; what each stands for is beside it. */
export type Model = {
  chains: readonly Chain[];
  sets: readonly DataSet[];
  counters: readonly Counter[];
  policies: readonly CountedPolicy[];
};

export type Chain = {
  name: string;
  /** For people: what a difference found in it is about. */
  meaning: string;
  /** A base chain's place in the kernel; null for one that others jump to. */
  hook: Hook | null;
  rules: readonly (readonly Statement[])[];
};

export type DataSet = {
  name: string;
  meaning: SetMeaning;
  type: string | readonly string[];
  /** Filled from packets rather than by the site. */
  dynamic: boolean;
  /** Of elements that name none of their own. */
  timeoutS: number | null;
  size: number;
};

export type SetMeaning =
  | { kind: 'name'; host: string; family: 4 | 6 }
  | { kind: 'allowed' | 'denied' | 'audited'; workload: string; direction: Direction; family: 4 | 6 };

export type Counter = { name: string; meaning: string };

/** Where the counts of a policy are. `probeHits` is null where no probe of the site's own can come from. */
export type CountedPolicy = {
  kind: 'Allowlist';
  name: string;
  generation: number;
  rules: readonly { rule: string; hits: string; probeHits: string | null }[];
  denies: string;
  probeDenies: string;
};

export function setMeaning(meaning: SetMeaning): string {
  if (meaning.kind === 'name') return `addresses of ${meaning.host} (IPv${meaning.family})`;
  const { kind, workload, direction, family } = meaning;
  return `${kind} ${direction} of ${workload} (IPv${family})`;
}
