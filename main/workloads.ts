import { existsSync, readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { ConfigError } from '../config-file.ts';
import type { Workload } from '../core/ports/enforcer.ts';

const PASSWD = '/etc/passwd';

/** What the site's owner says that a workload is here, with users as numbers. Throws ConfigError for one that is not there. */
export function workloadsOf({ enforcement }: Config): Workload[] {
  const taken = new Map<string, string>();
  return enforcement.workloads.map(({ name, labels, user, interface: link }) => {
    const binding: Workload['binding'] =
      link === undefined
        ? { kind: 'user', uid: uidOf(String(user), name) }
        : { kind: 'interface', name: link };
    const id = binding.kind === 'user' ? `user ${binding.uid}` : `interface ${binding.name}`;
    const other = taken.get(id);
    if (other !== undefined)
      throw new ConfigError(
        `enforcement: workloads ${other} and ${name} are both bound to ${id}; make one of them, or bind them apart`,
      );
    taken.set(id, name);
    return { name, labels, binding };
  });
}

function uidOf(user: string, workload: string): number {
  if (/^\d{1,10}$/.test(user) && Number(user) < 2 ** 32 - 1) return Number(user);
  const lines = existsSync(PASSWD) ? readFileSync(PASSWD, 'utf8').split('\n') : [];
  const found = lines.map((line) => line.split(':')).find(([name]) => name === user)?.[2];
  if (found !== undefined && /^\d+$/.test(found)) return Number(found);
  throw new ConfigError(
    `enforcement: workload ${workload}: there is no user "${user}" in ${PASSWD}; name one, or give its number`,
  );
}
