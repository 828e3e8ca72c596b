import type { AllowlistSpec, Mode } from '../../model/allowlist.ts';
import { nameSet } from './identifiers.ts';
import { linesOf } from './lines.ts';
import { matching } from './statement.ts';
import { ruleText } from './words.ts';

/**
 * A policy as it is compiled, in the manner of `nft list`, for people: one line a match, so that two of these differ where
 * the policies do. `binding` says what a workload is, as "user checkout". The specification is valid. In audit what no rule
 * lets through is counted and goes on.
 */
export function renderRules(
  spec: AllowlistSpec,
  workloads: readonly { name: string; binding: string }[],
  mode: Mode,
): string[] {
  const otherwise = mode === 'audit' ? 'counter "would be denied"' : 'counter "denied" reject';
  const text: string[] = [];
  for (const direction of ['egress', 'ingress'] as const) {
    const rules = spec[direction];
    if (rules === undefined) continue;
    const lines = rules.flatMap((rule) =>
      linesOf(rule).map((line) => {
        const known =
          'name' in line.reach
            ? [[nameSet(line.reach.name, line.reach.family), line.reach.name] as const]
            : [];
        return `  ${ruleText(matching(line, direction), new Map(known))} counter "${rule.name}" accept`;
      }),
    );
    for (const { name, binding } of workloads)
      text.push(`chain "${direction} of ${name}" { # ${binding}`, ...lines, `  ${otherwise}`, '}');
  }
  return text;
}
