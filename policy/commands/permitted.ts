import { isDeepStrictEqual } from 'node:util';
import type { Command, VirtualSiteSpec } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { asksApproval, guardsAt, ownerOf } from '../../core/policy/guards.ts';
import { matches } from '../../core/selector.ts';
import { selectorOf } from '../../core/selector-of.ts';
import type { Registered } from '../registry.ts';
import { coursesOf } from '../rollout/assigned.ts';
import { type Asked, type Outcome, refuse } from './outcome.ts';
import { subjectOf } from './subject.ts';
import { usersOf } from './users-of.ts';

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
  if (wanted.verb === 'delete' && kind === 'Allowlist') return withdrawn(name, registered);
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
  return before === undefined || after === undefined ? null : moved(name, before, after, registered);
}

/** To delete a policy opens what it closed, at once: where a guard asks for approval that is no less than to begin there. */
function withdrawn(name: string, registered: Registered): Outcome | null {
  const rollout = registered.rollout(rolloutName('Allowlist', name));
  for (const { virtualSite, current, next } of rollout === undefined ? [] : coursesOf(rollout.spec)) {
    if (current === null && next === null) continue;
    const held = asksApproval(guardsAt(virtualSite, registered));
    if (held === undefined) continue;
    return refuse(
      'forbidden',
      `Allowlist ${name} runs in virtual site ${virtualSite}, and the guard of ${ownerOf(held)} asks for approval: only the role admin may delete it; ask an administrator, or apply content that others can approve`,
    );
  }
  return null;
}

/** Sites with a guard don't come to policies, nor lose them, by what an author makes of a virtual site that has none. */
function moved(
  name: string,
  before: VirtualSiteSpec,
  after: VirtualSiteSpec,
  registered: Registered,
): Outcome | null {
  const [from, to] = [selectorOf(before), selectorOf(after)];
  const [user] = usersOf(name, registered);
  if (user === undefined || from === null || to === null || isDeepStrictEqual(from, to)) return null;
  const guarded = [...registered.allVirtualSites()].flatMap(({ metadata, spec }) => {
    const selector = spec.guard === undefined ? null : selectorOf(spec);
    return selector === null ? [] : [{ owner: metadata.name, selector }];
  });
  for (const { metadata, spec } of guarded.length === 0 ? [] : registered.allSites()) {
    if (matches(from, spec.labels) === matches(to, spec.labels)) continue;
    const own = guarded.find(({ selector }) => matches(selector, spec.labels));
    if (own === undefined) continue;
    return refuse(
      'forbidden',
      `${user.spec.policy.kind} ${user.spec.policy.name} goes to virtual site ${name}, and the change moves site ${metadata.name} in or out, which virtual site ${own.owner} has a guard for: only the role admin may do that; leave /spec/selector as it is for such sites`,
      '/spec/selector',
    );
  }
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
