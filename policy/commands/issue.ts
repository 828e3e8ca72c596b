import { type Issuer, resourceKey } from '../../core/model/resource.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Change, Registered } from '../registry.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';

/** As many as the issuer holds (core/model/resource.ts). */
const MOST_DISOWNED = 4096;

/** Another key signs from now on; the one before counts until the next rotation, unless it is revoked. */
export function rotateKeys(
  { revoke = false }: { revoke?: boolean },
  asked: Asked,
  { issuer }: Registered,
): Outcome {
  if (issuer === null) return unready();
  const { keysMade } = issuer.spec;
  const spec = { ...issuer.spec, keysMade: keysMade + 1, keysKept: revoke ? 1 : 2 };
  const message = `key ${keysMade + 1} signs policy from now on; ${revoke ? 'those before are revoked' : 'the one before still counts'}`;
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: restamped(issuer, asked, spec) }],
    told: [{ kind: 'keys.rotated', virtualSite: '', message }],
  };
}

/** Raises the epoch, and dates every target by it, so that sites which are ahead of this hub follow it again. */
export function restoreHub(asked: Asked, registered: Registered, facts: PolicyFacts): Outcome {
  const { issuer } = registered;
  if (issuer === null) return unready();
  const epoch = Math.max(issuer.spec.epoch, facts.highestEpoch()) + 1;
  const generationsAbove = { ...issuer.spec.generationsAbove };
  for (const [policy, generation] of Object.entries(facts.reported()))
    generationsAbove[policy] = Math.max(generation, generationsAbove[policy] ?? 0);
  const disowned = facts.unknown().slice(0, MOST_DISOWNED);
  const spec = { ...issuer.spec, epoch, generationsAbove, disowned };
  const changes: Change[] = [{ put: restamped(issuer, asked, spec) }];
  for (const key of facts.unreadable()) changes.push(...withoutUnreadable(key));
  for (const rollout of registered.allRollouts()) {
    const { version, policy } = rollout.spec;
    if (registered.allowlist(policy.name) === undefined) {
      changes.push({ remove: { kind: 'Rollout', name: rollout.metadata.name } });
      continue;
    }
    const metadata = stamp(rollout.metadata.name, asked, rollout.metadata);
    changes.push({
      put: { ...rollout, metadata, spec: { ...rollout.spec, version: { epoch, n: version.n + 1 } } },
    });
  }
  const left = disowned.length === 0 ? '' : `; it leaves alone what it does not have: ${some(disowned)}`;
  const message = `policy goes on in epoch ${epoch}: what this hub says counts from now on, whatever sites have seen before${left}`;
  return {
    ok: true,
    effect: 'updated',
    changes,
    told: [{ kind: 'hub.restored', virtualSite: '', message }],
  };
}

/** A row that can't be read is done without. The issuer's can't be: which keys sites trust is in it. */
function withoutUnreadable(key: string): Change[] {
  const name = key.slice(key.indexOf('/') + 1);
  const kind = (['Allowlist', 'Rollout', 'VirtualSite'] as const).find(
    (one) => key === resourceKey(one, name),
  );
  return kind === undefined ? [] : [{ remove: { kind, name } }];
}

function some(names: readonly string[]): string {
  const named = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${named} and ${names.length - 5} more` : named;
}

function restamped(issuer: Issuer, asked: Asked, spec: Issuer['spec']): Issuer {
  return { ...issuer, metadata: stamp(issuer.metadata.name, asked, issuer.metadata), spec };
}

function unready(): Outcome {
  return refuse('not-ready', 'the hub has signed nothing yet; try again in a moment');
}
