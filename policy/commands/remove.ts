import type { Command, Issuer } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import type { Change, Registered } from '../registry.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';
import { standing } from './subject.ts';
import { usersOf } from './users-of.ts';

type Removal = Extract<Command['do'], { verb: 'delete' }>;

const LISTED = {
  Site: '`plumbline get sites`',
  VirtualSite: '`plumbline get virtual-sites`',
  Token: '`plumbline get tokens`',
  Allowlist: '`plumbline get allowlists`',
} as const;

/** Removes a site, a virtual site, a token or a policy, which is withdrawn everywhere. What was observed of it stays in the store until its time is over. */
export function remove({ kind, name }: Removal, asked: Asked, registered: Registered): Outcome {
  if (standing({ kind, name }, registered) === undefined)
    return refuse('not-found', `there is no ${kind} named ${name}; ${LISTED[kind]} lists what there is`);
  const [user] = kind === 'VirtualSite' ? usersOf(name, registered) : [];
  if (user !== undefined)
    return refuse(
      'in-use',
      `${user.spec.policy.kind} ${user.spec.policy.name} goes to virtual site ${name}; delete it first, or take the virtual site out of its stages and let the sites return`,
    );
  const changes: Change[] = [{ remove: { kind, name } }];
  if (kind === 'Allowlist') {
    changes.push({ remove: { kind: 'Rollout', name: rolloutName(kind, name) } });
    if (registered.issuer !== null)
      changes.push({ put: withdrawing(`${kind}/${name}`, registered.issuer, asked) });
  }
  return { ok: true, effect: 'deleted', changes };
}

/** That it was deleted is written down with the deletion: a policy that is merely not there is never withdrawn. */
function withdrawing(policy: string, issuer: Issuer, asked: Asked): Issuer {
  const withdrawn = [...(issuer.spec.withdrawn ?? []).filter((one) => one !== policy), policy];
  const metadata = stamp(issuer.metadata.name, asked, issuer.metadata);
  return { ...issuer, metadata, spec: { ...issuer.spec, withdrawn } };
}
