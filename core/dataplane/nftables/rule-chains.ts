import type { EgressRule, IngressRule } from '../../model/allowlist.ts';
import type { EnforcedPolicy, Wanted } from '../../ports/enforcer.ts';
import {
  ALLOWED_BIT,
  AUDITED_BIT,
  type Direction,
  generationKey,
  type Hook,
  identifier,
} from './identifiers.ts';
import { linesOf } from './lines.ts';
import type { Chain } from './model.ts';
import type { Scope } from './scope.ts';
import * as say from './statement.ts';

/** Who may come through a rule, and what then happens: the bit is set, and the connection counted once. */
export function ruleChains(
  policy: EnforcedPolicy,
  rule: EgressRule | IngressRule,
  { direction, hook }: Scope,
  probePorts: Wanted['probePorts'],
): Chain[] {
  const key = [...generationKey(policy), direction, rule.name];
  const hit = identifier('h_', ...key, hook, policy.mode);
  const meaning = `rule ${rule.name} of ${policy.name} (${direction})`;
  // What comes here is TCP or UDP, so that it has a source port: asking again would cost every rule a set of its own.
  const probes = [say.fromPort(probePorts), say.count(identifier('p_', ...key)), say.leave];
  return [
    {
      name: ruleChain(policy, rule.name, direction, hook),
      meaning,
      hook: null,
      rules: linesOf(rule).map((line) => [...say.matching(line, direction), say.goTo(hit)]),
    },
    {
      name: hit,
      meaning: `count of ${meaning}`,
      hook: null,
      rules: [
        [say.setBit(policy.mode === 'enforce' ? ALLOWED_BIT : AUDITED_BIT), say.underWay, say.leave],
        ...(hook === 'output' ? [probes] : []),
        [say.count(identifier('c_', ...key))],
      ],
    },
  ];
}

export function ruleChain(policy: EnforcedPolicy, rule: string, direction: Direction, hook: Hook): string {
  return identifier('r_', ...generationKey(policy), direction, rule, hook, policy.mode);
}
