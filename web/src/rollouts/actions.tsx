import { useState } from 'preact/hooks';
import type { RolloutView } from '../../../core/model/policy-view.ts';
import type { Role } from '../../../core/model/role.ts';
import type { RolloutAction } from '../../../core/model/rollout.ts';
import { possibleActions } from '../../../core/rollout-words.ts';
import { moveRollout } from '../hub.ts';

const WORDS: Readonly<Record<RolloutAction, string>> = {
  promote: 'Promote',
  pause: 'Pause',
  resume: 'Resume',
  rollback: 'Roll back',
  retry: 'Try again',
};
const AUTHORS: readonly Role[] = ['author', 'admin'];
const APPROVERS: readonly Role[] = ['author', 'approver', 'admin'];
/** As control has it (policy/commands/permitted.ts), whose word it is. */
const MAY: Readonly<Record<RolloutAction, readonly Role[]>> = {
  promote: APPROVERS,
  retry: APPROVERS,
  pause: AUTHORS,
  resume: AUTHORS,
  rollback: AUTHORS,
};

/** What can be done with a rollout, for those who may. Rolling back asks once more. */
export function Actions({
  rollout,
  role,
  disabled,
  onDone,
}: {
  rollout: RolloutView;
  role: Role | null;
  disabled: boolean;
  onDone: () => void;
}) {
  const [asking, setAsking] = useState<RolloutAction | null>(null);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState('');
  const actions =
    role === null ? [] : possibleActions(rollout).filter((action) => MAY[action].includes(role));
  if (actions.length === 0 && said === '') return null;
  async function carryOut(action: RolloutAction) {
    setAsking(null);
    setBusy(true);
    const answer = await moveRollout(rollout.name, action);
    setBusy(false);
    setSaid(answer.ok ? `${WORDS[action]}: done.` : answer.detail);
    onDone();
  }
  return (
    <div class="rollout-actions">
      {asking === null ? (
        actions.map((action) => (
          <button
            key={action}
            type="button"
            class={action === 'promote' ? 'primary' : ''}
            disabled={disabled || busy}
            onClick={() => (action === 'rollback' ? setAsking(action) : void carryOut(action))}
          >
            {WORDS[action]}
          </button>
        ))
      ) : (
        <>
          <span>Return {rollout.stages[rollout.stage]?.virtualSite} to what it was promoted to before?</span>
          <button type="button" class="primary" disabled={busy} onClick={() => void carryOut(asking)}>
            {WORDS[asking]} now
          </button>
          <button type="button" onClick={() => setAsking(null)}>
            Leave it
          </button>
        </>
      )}
      <p role="status" class="action-said">
        {said}
      </p>
    </div>
  );
}
