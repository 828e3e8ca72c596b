import { parsePeer } from '../../policy/destination.ts';
import type { EnforcedPolicy, Workload } from '../../ports/enforcer.ts';
import { parseSelector } from '../../selector.ts';
import { rulesOf, selects } from './scope.ts';

/** Why something can't be put in force here as it stands. `at` is a JSON pointer below the specification, or empty. */
export type CompileFault = { policy: string | null; at: string; reason: string; remedy: string };

const INTERFACE = /^[A-Za-z0-9_.@-]{1,15}$/;

/** What `compile` can't express: nothing is approximated, so nothing of it is applied. */
export function compileFaults(
  policies: readonly EnforcedPolicy[],
  workloads: readonly Workload[],
): CompileFault[] {
  return [...bindingFaults(workloads), ...policies.flatMap((policy) => policyFaults(policy, workloads))];
}

function bindingFaults(workloads: readonly Workload[]): CompileFault[] {
  const faults: CompileFault[] = [];
  const report = (reason: string, remedy: string) => faults.push({ policy: null, at: '', reason, remedy });
  const names = new Set<string>();
  const bound = new Map<string, string>();
  for (const { name, binding } of workloads) {
    const to = binding.kind === 'user' ? `user ${binding.uid}` : `interface ${binding.name}`;
    const other = bound.get(to);
    if (names.has(name)) report(`two workloads are called ${name}`, 'give each a name of its own');
    if (other !== undefined)
      report(
        `workloads ${other} and ${name} are both bound to ${to}`,
        'make one workload of them, or bind them apart',
      );
    if (
      binding.kind === 'user' &&
      !(Number.isInteger(binding.uid) && binding.uid >= 0 && binding.uid < 2 ** 32 - 1)
    )
      report(`${binding.uid} is not a user id`, `give workload ${name} the id of a user`);
    if (binding.kind === 'interface' && !INTERFACE.test(binding.name))
      report(
        `"${binding.name}" is not the name of an interface`,
        `give workload ${name} one of \`ip link\`'s names`,
      );
    names.add(name);
    bound.set(to, name);
  }
  return faults;
}

function policyFaults(policy: EnforcedPolicy, workloads: readonly Workload[]): CompileFault[] {
  const faults: CompileFault[] = [];
  const report = (at: string, reason: string, remedy: string) =>
    faults.push({ policy: policy.name, at, reason, remedy });
  const selector = parseSelector(policy.spec.workloads);
  if (!selector.ok) report('/workloads', `${selector.at}: ${selector.reason}`, 'correct the selector');
  const users = workloads.filter((workload) => workload.binding.kind === 'user' && selects(policy, workload));
  const [user] = users;
  if (policy.spec.ingress !== undefined && user !== undefined)
    report(
      '/ingress',
      `workload ${user.name} is a user, and what comes in can't be told apart by user`,
      'select only workloads that are bound to an interface, or leave ingress out',
    );
  const seen = new Map<string, string>();
  for (const direction of ['egress', 'ingress'] as const)
    for (const [i, rule] of rulesOf(policy, direction).entries()) {
      const at = `/${direction}/${i}`;
      const before = seen.get(rule.name);
      if (before !== undefined)
        report(
          `${at}/name`,
          `rule ${rule.name} is at ${before} too, so its hits could not be told apart`,
          'rename one',
        );
      seen.set(rule.name, at);
      const key = 'to' in rule ? 'to' : 'from';
      for (const [j, peer] of ('to' in rule ? rule.to : rule.from).entries()) {
        const parsed = parsePeer(peer);
        if (parsed.ok) continue;
        for (const fault of parsed.faults) report(`${at}/${key}/${j}${fault.at}`, fault.reason, fault.remedy);
      }
    }
  return faults;
}
