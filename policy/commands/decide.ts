import type { Command } from '../../core/model/resource.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Registered } from '../registry.ts';
import { applyAllowlist } from './apply-allowlist.ts';
import { applyVirtualSite } from './apply-virtual-site.ts';
import { restoreHub, rotateKeys } from './issue.ts';
import { moveRollout } from './move-rollout.ts';
import { type Asked, type Outcome, refuse } from './outcome.ts';
import { forbidden } from './permitted.ts';
import { remove } from './remove.ts';
import { addSite } from './site-add.ts';
import { joinSite } from './site-join.ts';
import { labelSite } from './site-label.ts';
import { standing, subjectOf } from './subject.ts';
import { createToken } from './token-create.ts';

/** What a command comes to, given all that was decided before it. Pure. */
export function decide(command: Command, asked: Asked, registered: Registered, facts: PolicyFacts): Outcome {
  return (
    forbidden(command.do, asked, registered) ??
    conflict(command, registered) ??
    held(command.do, facts) ??
    carryOut(command.do, asked, registered, facts)
  );
}

/** Null when the resource is what whoever asks thinks it is, or they don't say. */
function conflict({ do: wanted, expected }: Command, registered: Registered): Outcome | null {
  if (expected === undefined) return null;
  const { kind, name } = subjectOf(wanted);
  const now = standing({ kind, name }, registered);
  const isSame = now?.uid === expected.uid;
  if (isSame && now?.revision === expected.revision) return null;
  const stands =
    now === undefined
      ? 'is gone'
      : isSame
        ? `is at revision ${now.revision}`
        : 'was deleted and made again meanwhile';
  return refuse(
    'revision-conflict',
    `${kind} ${name} ${stands}, the change is meant for revision ${expected.revision}; read it again and make the change on what stands there`,
  );
}

/** Nothing of policy is changed by a hub that does not know what its sites know; `hub.restore` ends that. */
function held(wanted: Command['do'], facts: PolicyFacts): Outcome | null {
  const isPolicy =
    wanted.verb === 'rollout' ||
    wanted.verb === 'keys.rotate' ||
    (wanted.verb === 'apply' && wanted.document.kind === 'Allowlist') ||
    (wanted.verb === 'delete' && wanted.kind === 'Allowlist');
  const why = isPolicy ? facts.readOnly() : null;
  return why === null ? null : refuse('hub-behind', why);
}

function carryOut(wanted: Command['do'], asked: Asked, registered: Registered, facts: PolicyFacts): Outcome {
  switch (wanted.verb) {
    case 'apply':
      return wanted.document.kind === 'Allowlist'
        ? applyAllowlist(wanted.document, asked, registered, facts)
        : applyVirtualSite(wanted.document, asked, registered);
    case 'delete':
      return remove(wanted, asked, registered);
    case 'rollout':
      return moveRollout(wanted, asked, registered);
    case 'keys.rotate':
      return rotateKeys(wanted, asked, registered, facts);
    case 'hub.restore':
      return restoreHub(wanted, asked, registered, facts);
    case 'site.add':
      return addSite(wanted, asked, registered);
    case 'site.label':
      return labelSite(wanted, asked, registered);
    case 'site.join':
      return joinSite(wanted, asked, registered);
    case 'token.create':
      return createToken(wanted, asked, registered);
  }
}
