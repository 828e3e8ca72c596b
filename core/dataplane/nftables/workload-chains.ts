import type { EnforcedPolicy, Wanted } from '../../ports/enforcer.ts';
import { flowSetNames } from './flow-sets.ts';
import { ALLOWED_BIT, AUDITED_BIT, generationKey, identifier } from './identifiers.ts';
import type { Chain } from './model.ts';
import { ruleChain } from './rule-chains.ts';
import { rulesOf, type Scope } from './scope.ts';
import * as say from './statement.ts';

type Rules = (readonly say.Statement[])[];

/** The chains that judge one direction of one workload. */
export function workloadChains(scope: Scope, probePorts: Wanted['probePorts']): Chain[] {
  const { workload, direction, hook, enforced, audits } = scope;
  const about = `${direction} of ${workload.name}`;
  // Strangers and machines behind an interface pick their source ports as they like: only what a user's socket sends here
  // can be one of the site's probes.
  const probes = hook === 'output' ? [say.accountable, say.fromPort(probePorts)] : null;
  const refuse = identifier('no_', workload.name, direction);
  const refuseProbe = identifier('np_', workload.name, direction);
  const rules: Rules = [[say.clearBits], ...asked(enforced, scope)];
  for (const policy of audits)
    rules.push([say.clearAudited], ...asked([policy], scope), [
      say.noneOf(ALLOWED_BIT + AUDITED_BIT),
      say.jump(auditChainName(policy, scope)),
    ]);
  if (enforced.length > 0) rules.push([say.noneOf(ALLOWED_BIT), say.goTo(refuse)]);
  rules.push(
    [say.clearBits],
    ...(probes === null ? [] : [[...probes, say.leave]]),
    [say.underWay, say.leave],
    ...updates(scope, 'allowed'),
  );
  const chains: Chain[] = [
    { name: identifier('w_', workload.name, direction), meaning: about, hook: null, rules },
    ...audits.map((policy) => auditChain(policy, scope, probes)),
  ];
  if (enforced.length === 0) return chains;
  const denies = (prefix: 'dc_' | 'dp_') =>
    enforced.map((policy) => [say.count(identifier(prefix, ...generationKey(policy)))]);
  chains.push({
    name: refuse,
    meaning: `refused ${about}`,
    hook: null,
    rules: [
      [say.clearBits],
      ...(probes === null ? [] : [[...probes, say.goTo(refuseProbe)]]),
      ...denies('dc_'),
      ...updates(scope, 'denied'),
      ...say.refusals,
    ],
  });
  if (probes !== null)
    chains.push({
      name: refuseProbe,
      meaning: `refused probes of ${workload.name}`,
      hook: null,
      rules: [...denies('dp_'), ...say.refusals],
    });
  return chains;
}

function asked(policies: readonly EnforcedPolicy[], { direction, hook }: Scope): Rules {
  return policies.flatMap((policy) =>
    rulesOf(policy, direction).map((rule) => [say.jump(ruleChain(policy, rule.name, direction, hook))]),
  );
}

/** Counts and remembers what one policy would have refused; it is let through all the same. */
function auditChain(policy: EnforcedPolicy, scope: Scope, probes: say.Statement[] | null): Chain {
  const counter = (prefix: 'dc_' | 'dp_') => say.count(identifier(prefix, ...generationKey(policy)));
  return {
    name: auditChainName(policy, scope),
    meaning: `audit of ${scope.direction} of ${scope.workload.name} by ${policy.name}`,
    hook: null,
    rules: [
      [say.underWay, say.leave],
      ...(probes === null ? [] : [[...probes, counter('dp_'), say.leave]]),
      [counter('dc_')],
      ...updates(scope, 'audited'),
    ],
  };
}

function auditChainName(policy: EnforcedPolicy, { workload, direction }: Scope): string {
  return identifier('au_', ...generationKey(policy), workload.name, direction);
}

/** Rules of their own: a full set makes the rest of its rule be left out. */
function updates({ workload, direction, revision }: Scope, kind: 'allowed' | 'denied' | 'audited'): Rules {
  return ([4, 6] as const).map((family) => {
    const set = flowSetNames(workload.name, direction, family, revision)[kind];
    return [say.accountable, say.remember(set, direction, family)];
  });
}
