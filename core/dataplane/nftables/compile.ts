import { canonicalAddress } from '../../policy/destination.ts';
import type { EnforcedPolicy, Wanted } from '../../ports/enforcer.ts';
import { flowSets } from './flow-sets.ts';
import { generationKey, type Hook, identifier, nameSet } from './identifiers.ts';
import { namesOf } from './lines.ts';
import type { Chain, CountedPolicy, DataSet, Model } from './model.ts';
import { ruleChains } from './rule-chains.ts';
import { rulesOf, type Scope, scopesOf } from './scope.ts';
import * as say from './statement.ts';
import { workloadChains } from './workload-chains.ts';

/** Of a name's addresses: what they are stored for when nobody says how long, and how many there may be. */
export const NAME_KEEP_S = 86_400;
export const NAME_SET_SIZE = 1024;

/**
 * The table that makes `wanted` true. Pure, and total for what `compileFaults` finds nothing in.
 *
 * A packet that belongs to a known connection leaves at once, so everything below is about new ones. A workload's chain asks
 * every rule of every policy: each that matches counts and sets a bit, and only the end of the chain refuses, so that one
 * policy's count never hides another's. What begins no connection, though the kernel does not know it (tracking may have
 * begun a moment ago), is let go on for users, who can't forge it; of an interface it is judged like the rest.
 *
 * Not judged: what stays on the machine, which is what leaves by `lo`, and what a workload behind an interface exchanges with
 * the host itself, which is not forwarded.
 */
export function compile(wanted: Wanted): Model {
  const scopes = scopesOf(wanted);
  const chains: Chain[] = [];
  for (const hook of ['output', 'forward'] as const) {
    const here = scopes.filter((scope) => scope.hook === hook);
    if (here.length > 0) chains.push(baseChain(hook, here, wanted.exempt));
  }
  const used = new Map<string, Chain>();
  for (const scope of scopes) {
    chains.push(...workloadChains(scope, wanted.probePorts));
    for (const policy of [...scope.enforced, ...scope.audits])
      for (const chain of rulesOf(policy, scope.direction).flatMap((rule) =>
        ruleChains(policy, rule, scope, wanted.probePorts),
      ))
        used.set(chain.name, chain);
  }
  const policies = wanted.policies.map(counted);
  return {
    chains: [...chains, ...used.values()],
    sets: [...nameSets(wanted.policies), ...scopes.flatMap((scope) => flowSets(scope))],
    counters: policies.flatMap(countersOf),
    policies,
  };
}

function baseChain(hook: Hook, scopes: readonly Scope[], exempt: Wanted['exempt']): Chain {
  const rules: say.Statement[][] = [[say.established, say.leave]];
  if (hook === 'output') {
    rules.push([say.meta('oifname', 'lo'), say.leave], [say.notFirst, say.leave]);
  }
  rules.push([say.neighbourDiscovery, say.leave]);
  if (hook === 'output')
    for (const { address, port, protocol } of exempt.endpoints) {
      const to = canonicalAddress(address);
      if (to === null) throw new Error(`${address} is not an address`);
      const endpoint = say.toEndpoint(to.address, to.family, protocol === 'TCP' ? 'tcp' : 'udp', port);
      rules.push([say.meta('skuid', exempt.uid), ...endpoint, say.leave]);
    }
  for (const { workload, direction } of scopes) {
    const { binding } = workload;
    const from =
      binding.kind === 'user'
        ? say.meta('skuid', binding.uid)
        : say.meta(direction === 'egress' ? 'iifname' : 'oifname', binding.name);
    rules.push([from, say.jump(identifier('w_', workload.name, direction))]);
  }
  return { name: hook, meaning: `base chain ${hook}`, hook, rules };
}

function counted(policy: EnforcedPolicy): CountedPolicy {
  const key = generationKey(policy);
  const { kind, name, generation } = policy;
  const rules = (['egress', 'ingress'] as const).flatMap((direction) =>
    rulesOf(policy, direction).map((rule) => ({
      rule: rule.name,
      hits: identifier('c_', ...key, direction, rule.name),
      probeHits: direction === 'egress' ? identifier('p_', ...key, direction, rule.name) : null,
    })),
  );
  return {
    kind,
    name,
    generation,
    rules,
    denies: identifier('dc_', ...key),
    probeDenies: identifier('dp_', ...key),
  };
}

function countersOf({ name, rules, denies, probeDenies }: CountedPolicy): Model['counters'] {
  return [
    ...rules.flatMap(({ rule, hits, probeHits }) => [
      { name: hits, meaning: `hits of rule ${rule} of ${name}` },
      ...(probeHits === null ? [] : [{ name: probeHits, meaning: `probe hits of rule ${rule} of ${name}` }]),
    ]),
    { name: denies, meaning: `denies of ${name}` },
    { name: probeDenies, meaning: `probe denies of ${name}` },
  ];
}

function nameSets(policies: readonly EnforcedPolicy[]): DataSet[] {
  const hosts = new Set(policies.flatMap(({ spec }) => namesOf(spec.egress ?? [])));
  return [...hosts].sort().flatMap((host) =>
    ([4, 6] as const).map((family) => ({
      name: nameSet(host, family),
      meaning: { kind: 'name', host, family } as const,
      type: `ipv${family}_addr`,
      dynamic: false,
      timeoutS: null,
      size: NAME_SET_SIZE,
    })),
  );
}
