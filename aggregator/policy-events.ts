import { type PolicyReport, type PolicyStatus, TAKEN_BACK } from '../core/model/policy-report.ts';
import type { Report } from '../core/model/report.ts';
import type { SiteState } from '../core/model/site-state.ts';
import { type Told, told } from './events.ts';

type Standing = NonNullable<SiteState['policies']>[number];

/** A refusal is dated by its site; what lies outside of this much before its receipt is brought in. */
const OLDEST_REFUSAL_MS = 7 * 86_400_000;
const IN_FORCE: readonly string[] = ['applied', 'orphaned'];

/** What became of a site's policies since the state before: each told once, at the change. */
export function policyEvents(previous: SiteState | null, state: SiteState, { policy }: Report): Told[] {
  if (policy === undefined) return [];
  const before = new Map((previous?.policies ?? []).map((one) => [keyOf(one), one]));
  const events = enforcementEvents(previous, state);
  for (const status of policy.policies) {
    events.push(...statusEvents(before.get(keyOf(status)) ?? null, status, state));
    before.delete(keyOf(status));
  }
  for (const gone of before.values())
    if (IN_FORCE.includes(gone.phase) || gone.phase === 'applying')
      events.push(tell('policy.withdrawn', 'info', gone, state, `${what(gone)} is not there any more`));
  return [...events, ...refusals(previous, state, policy)];
}

function enforcementEvents(previous: SiteState | null, state: SiteState): Told[] {
  const before = previous?.enforcement;
  const { enforcement: now, site, boot, seq } = state;
  if (now === 'disarmed' && before !== 'disarmed') {
    const message = 'its owner disarmed it: no policy is enforced there';
    return [
      told(`enforcement.disarmed/${site}/${boot}/${seq}`, 'enforcement.disarmed', 'warning', state, message),
    ];
  }
  if (now !== 'on' || before === undefined || before === 'on') return [];
  const message = before === 'off' ? 'its owner turned enforcement on' : 'its owner armed it again';
  return [told(`enforcement.armed/${site}/${boot}/${seq}`, 'enforcement.armed', 'info', state, message)];
}

function statusEvents(before: Standing | null, status: PolicyStatus, state: SiteState): Told[] {
  const { phase, mode, live } = status;
  const why = status.reason === undefined ? '' : `: ${status.reason}`;
  const isSame =
    before !== null &&
    before.phase === phase &&
    before.generation === status.generation &&
    before.digest === status.digest;
  const events: Told[] = [];
  if (phase === 'applied' && !(isSame && before.mode === mode))
    events.push(tell('policy.applied', 'info', status, state, `${what(status)} is in force (${mode})`));
  if (phase === 'refused' && !isSame)
    events.push(tell('policy.refused', 'warning', status, state, `${what(status)} was refused${why}`));
  if (phase === 'withdrawn' && before?.phase !== 'withdrawn')
    events.push(tell('policy.withdrawn', 'info', status, state, `${what(status)} was withdrawn${why}`));
  if (phase === 'orphaned' && before?.phase !== 'orphaned')
    events.push(
      tell(
        'policy.orphaned',
        'warning',
        status,
        state,
        `${what(status)} is in force, and the hub speaks of it no longer${why}`,
      ),
    );
  const drifted = before !== null && IN_FORCE.includes(before.phase) && !before.live;
  if (IN_FORCE.includes(phase) && !live && !drifted) {
    const differences = status.drift ?? [];
    const said = differences.length === 0 ? why : `: ${differences.join('; ')}`;
    events.push(
      tell('policy.drift', 'warning', status, state, `${what(status)} is not what was applied${said}`),
    );
  }
  return events;
}

/** Told by the site's own time of it, so that however often its reports repeat a refusal it is one. */
function refusals(previous: SiteState | null, state: SiteState, { refusals: refused }: PolicyReport): Told[] {
  const toldMs = previous?.refusalsToldMs ?? -1;
  return refused
    .filter(({ atMs }) => atMs > toldMs)
    .map(({ atMs, key, code, detail }) => {
      const isTakenBack = code === TAKEN_BACK;
      const kind = isTakenBack ? 'policy.taken-back' : 'policy.document-refused';
      return {
        id: `${kind}/${state.site}/${key}/${code}/${atMs}`,
        atMs: Math.min(state.receivedAtMs, Math.max(state.receivedAtMs - OLDEST_REFUSAL_MS, atMs)),
        kind,
        severity: 'warning',
        site: state.site,
        message: `${key} was ${isTakenBack ? 'taken back' : 'refused'} (${code}): ${detail}`,
      };
    });
}

function tell(
  kind: Told['kind'],
  severity: Told['severity'],
  { kind: of, name }: Pick<Standing, 'kind' | 'name'>,
  state: SiteState,
  message: string,
): Told {
  return told(
    `${kind}/${state.site}/${of}/${name}/${state.boot}/${state.seq}`,
    kind,
    severity,
    state,
    message,
  );
}

function keyOf({ kind, name }: Pick<Standing, 'kind' | 'name'>): string {
  return `${kind}/${name}`;
}

function what({ kind, name, generation }: Pick<Standing, 'kind' | 'name' | 'generation'>): string {
  // One that a site has taken away is of no generation there.
  return generation === 0 ? `${kind}/${name}` : `${kind}/${name} generation ${generation}`;
}
