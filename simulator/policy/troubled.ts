import { type Enforcer, EnforcerError } from '../../core/ports/enforcer.ts';
import type { PolicyLink } from '../../core/ports/policy-link.ts';
import type { Trouble } from '../incidents.ts';

/** A dataplane that takes nothing (`refuses`), or in which somebody else has changed a rule until it is applied again (`drift`). */
export function troubledEnforcer(enforcer: Enforcer, troubleNow: () => Trouble): Enforcer {
  let repairedIn: number | null = null;
  let through = 0;
  /** Each incident brings one change: how far it is through only ever falls when a new one has begun. */
  const isChanged = () => {
    const now = troubleNow().drift;
    if (now === undefined || now < through) repairedIn = null;
    through = now ?? 0;
    return now !== undefined && repairedIn === null;
  };
  return {
    dataplane: enforcer.dataplane,
    start: () => enforcer.start(),
    async apply(wanted) {
      if (troubleNow().refuses !== undefined)
        throw new EnforcerError('rejected', 'the dataplane takes no change (simulated)');
      await enforcer.apply(wanted);
      if (isChanged()) repairedIn = through;
    },
    async observe() {
      const observed = await enforcer.observe();
      if (!isChanged() || observed.policies.length === 0) return observed;
      return { ...observed, differences: [...observed.differences, 'somebody deleted a rule (simulated)'] };
    },
    learn: (host, addresses, keepS) => enforcer.learn(host, addresses, keepS),
    hold: () => enforcer.hold(),
    putBack: () => enforcer.putBack(),
    withdraw: () => enforcer.withdraw(),
    stop: () => enforcer.stop(),
  };
}

/** A hub that a new connection does not reach (`unconfirmed`), although the one that was there before lasts. */
export function troubledLink(link: PolicyLink, troubleNow: () => Trouble): PolicyLink {
  return {
    listen: (holdings, onDocuments) => link.listen(holdings, onDocuments),
    tell: (holdings) => link.tell(holdings),
    async confirm(withinMs) {
      if (troubleNow().unconfirmed === undefined) return link.confirm(withinMs);
      return {
        ok: false,
        code: 'unreachable',
        detail: 'no new connection gets through (simulated)',
        isHubThere: true,
      };
    },
  };
}
