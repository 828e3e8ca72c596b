import { isDeepStrictEqual } from 'node:util';
import type { Command, VirtualSiteSpec } from '../../core/model/resource.ts';
import type { Registered } from '../registry.ts';
import { type Asked, type Outcome, refuse } from './outcome.ts';
import { subjectOf } from './subject.ts';

type Wanted = Command['do'];
type Role = NonNullable<Command['role']>;
type ByKind<W extends Wanted> = W extends { verb: 'apply' }
  ? `apply ${W['document']['kind']}`
  : W extends { verb: 'delete' }
    ? `delete ${W['kind']}`
    : W extends { verb: 'rollout' }
      ? `rollout ${W['action']}`
      : W['verb'];
type Deed = ByKind<Wanted>;

const AUTHORS: readonly Role[] = ['author', 'admin'];
const APPROVERS: readonly Role[] = ['author', 'approver', 'admin'];
const ADMINS: readonly Role[] = ['admin'];

/**
 * Which role may do what: the table that counts. The API has one of routes (api/http/access.ts) to turn callers away before
 * anything is written, but what it sees may be behind; here every change before this one is known.
 */
const MAY: Record<Deed, readonly Role[]> = {
  'apply VirtualSite': AUTHORS,
  'delete VirtualSite': AUTHORS,
  'apply Allowlist': AUTHORS,
  'delete Allowlist': AUTHORS,
  // Where the virtual site asks for approval, an author may not (rollout-approval.ts).
  'rollout promote': APPROVERS,
  'rollout retry': APPROVERS,
  'rollout pause': AUTHORS,
  'rollout resume': AUTHORS,
  'rollout rollback': AUTHORS,
  'keys.rotate': ADMINS,
  'hub.restore': ADMINS,
  'delete Site': ADMINS,
  'delete Token': ADMINS,
  'site.add': ADMINS,
  'site.label': ADMINS,
  'site.join': ['site'],
  'token.create': ADMINS,
};

/** Null when whoever asks may do it, otherwise the refusal. */
export function forbidden(wanted: Wanted, { role, by }: Asked, registered: Registered): Outcome | null {
  if (role === undefined)
    return refuse(
      'forbidden',
      'the change does not say in which role it was asked for, since an older version wrote it down; ask for it again',
    );
  const deed = deedOf(wanted);
  const allowed = MAY[deed];
  if (!allowed.includes(role))
    return refuse('forbidden', `${deed} needs the role ${allowed.join(' or ')}; ${by} is ${role}`);
  return role === 'admin' ? null : guarded(wanted, registered);
}

/** Guard rails are the administrator's: nobody else adds, changes or removes one, nor says whom it is for. */
function guarded(wanted: Wanted, registered: Registered): Outcome | null {
  const { kind, name } = subjectOf(wanted);
  if (kind !== 'VirtualSite') return null;
  const before: VirtualSiteSpec | undefined = registered.virtualSite(name)?.spec;
  const after =
    wanted.verb === 'apply' && wanted.document.kind === 'VirtualSite' ? wanted.document.spec : undefined;
  if (!isDeepStrictEqual(before?.guard, after?.guard))
    return refuse(
      'forbidden',
      `the guard of virtual site ${name} is its administrator's: only the role admin may add, change or remove it; leave /spec/guard as it is`,
      '/spec/guard',
    );
  if (before?.guard !== undefined && !isDeepStrictEqual(before.selector, after?.selector))
    return refuse(
      'forbidden',
      `virtual site ${name} has a guard, and only the role admin may change whom that is for; leave /spec/selector as it is`,
      '/spec/selector',
    );
  return null;
}

function deedOf(wanted: Wanted): Deed {
  switch (wanted.verb) {
    case 'apply':
      return `apply ${wanted.document.kind}`;
    case 'delete':
      return `delete ${wanted.kind}`;
    case 'rollout':
      return `rollout ${wanted.action}`;
    default:
      return wanted.verb;
  }
}
