import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The parts of the suite by what they need. `check` is the compiler and the linter; the rest are test files by their names. */
export const TIERS = [
  'check',
  'unit',
  'contract',
  'e2e',
  'namespaces',
  'kafka-namespaces',
  'browser',
] as const;
export type Tier = (typeof TIERS)[number];

const SUFFIXES: [suffix: string, tier: Tier][] = [
  ['.kafka.netns.test.ts', 'kafka-namespaces'],
  ['.kafka.test.ts', 'contract'],
  ['.netns.test.ts', 'namespaces'],
  ['.browser.test.ts', 'browser'],
  ['.test.ts', 'unit'],
];

function tierOf(file: string): Tier | null {
  const tier = SUFFIXES.find(([suffix]) => file.endsWith(suffix))?.[1] ?? null;
  // Whole processes, one test file at a time: two of them would take each other's cores.
  return tier === 'unit' && file.startsWith('e2e/') ? 'e2e' : tier;
}

/** The tier's test files below `testDir`, as absolute paths; of those, the ones whose path contains any of `paths`. */
export function filesOf(tier: Tier, testDir: string, paths: readonly string[]): string[] {
  return readdirSync(testDir, { recursive: true, encoding: 'utf8' })
    .filter((file) => tierOf(file) === tier && !file.includes('node_modules'))
    .map((file) => join(testDir, file))
    .filter((file) => paths.length === 0 || paths.some((path) => file.includes(path)))
    .sort();
}
