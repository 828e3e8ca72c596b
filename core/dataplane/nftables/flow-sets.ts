import { type Direction, identifier } from './identifiers.ts';
import type { DataSet } from './model.ts';
import type { Scope } from './scope.ts';

const FLOW_SET_SIZE = 4096;
const ALLOWED_KEEP_S = 3600;
const DENIED_KEEP_S = 86_400;

export function flowSets({ workload, direction, revision, enforced, audits }: Scope): DataSet[] {
  const sets: DataSet[] = [];
  for (const family of [4, 6] as const) {
    const type = ['inet_proto', `ipv${family}_addr`, 'inet_service'];
    const about = { workload: workload.name, direction, family };
    const add = (kind: 'allowed' | 'denied' | 'audited', name: string, timeoutS: number) =>
      sets.push({ name, meaning: { kind, ...about }, type, dynamic: true, timeoutS, size: FLOW_SET_SIZE });
    const names = flowSetNames(workload.name, direction, family, revision);
    add('allowed', names.allowed, ALLOWED_KEEP_S);
    if (enforced.length > 0) add('denied', names.denied, DENIED_KEEP_S);
    if (audits.length > 0) add('audited', names.audited, DENIED_KEEP_S);
  }
  return sets;
}

/** What was refused belongs to one revision; what was let through goes on over all of them. */
export function flowSetNames(workload: string, direction: Direction, family: 4 | 6, revision: number) {
  return {
    allowed: identifier(family === 4 ? 's4_' : 's6_', workload, direction),
    denied: identifier(family === 4 ? 'd4_' : 'd6_', workload, direction, revision),
    audited: identifier(family === 4 ? 'a4_' : 'a6_', workload, direction, revision),
  };
}
