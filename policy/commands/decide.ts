import type { Command } from '../../core/model/resource.ts';
import type { Hold } from '../losses.ts';
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

/**
 * Nothing of policy is changed by a hub that does not know what it decided. Where all that it lacks is what its sites know,
 * what is on its way may still be taken back.
 */
function held(wanted: Command['do'], facts: PolicyFacts): Outcome | null {
  const isPolicy =
    wanted.verb === 'rollout' ||
    wanted.verb === 'keys.rotate' ||
    (wanted.verb === 'apply' && wanted.document.kind === 'Allowlist') ||
    (wanted.verb === 'delete' && wanted.kind === 'Allowlist');
  const isTakenBack =
    wanted.verb === 'rollout' && (wanted.action === 'rollback' || wanted.action === 'pause');
  const holds = isPolicy ? facts.holds() : [];
  const [hold] = isTakenBack ? holds.filter(({ cause }) => cause !== 'ahead') : holds;
  return hold === undefined
    ? null
    : refuse('hub-behind', `${hold.detail}. ${staysText(hold)}: ${hold.remedy}`);
}

function staysText({ cause }: Hold): string {
  return cause === 'ahead'
    ? 'Nothing of policy is changed meanwhile, but that rollouts are paused and rolled back'
    : 'Nothing of policy is changed meanwhile, and what sites enforce stays in force';
}

function carryOut(wanted: Command['do'], asked: Asked, registered: Registered, facts: PolicyFacts): Outcome {
  switch (wanted.verb) {
    case 'apply':
      return wanted.document.kind === 'Allowlist'
        ? applyAllowlist(wanted.document, asked, registered, facts, wanted.retry === true)
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
