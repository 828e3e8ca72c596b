import { firstFew } from '../../core/first-few.ts';
import { type HandedOver, type Issuer, resourceKey } from '../../core/model/resource.ts';
import { plural } from '../../core/plural.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Change, Registered } from '../registry.ts';
import { areMost, distrustText, PUT_KEY_BACK } from '../trouble-words.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';

/** As many policies as the issuer names in any of its lists (core/model/resource.ts). */
const MOST_NAMED = 4096;

/**
 * Another key signs from now on; the one before counts until the next rotation, unless it is revoked. To revoke one is
 * never refused: whoever does knows of something worse than sites that have to join again.
 */
export function rotateKeys(
  { revoke = false }: { revoke?: boolean },
  asked: Asked,
  { issuer }: Registered,
  facts: PolicyFacts,
): Outcome {
  if (issuer === null) return unready();
  const trust = facts.distrust();
  // Its successor would be believed as little, and stand in the way of the key that is to be put back.
  const warning = areMost(trust) ? `${distrustText(trust)}: ${PUT_KEY_BACK}` : undefined;
  if (warning !== undefined && !revoke) return refuse('hub-behind', warning);
  const { keysMade } = issuer.spec;
  const spec = { ...issuer.spec, keysMade: keysMade + 1, keysKept: revoke ? 1 : 2 };
  const message = `key ${keysMade + 1} signs policy from now on; ${revoke ? 'those before are revoked' : 'the one before still counts'}`;
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: restamped(issuer, asked, spec) }],
    told: [{ kind: 'keys.rotated', virtualSite: '', message }],
    ...(warning !== undefined && { warning }),
  };
}

/**
 * Where sites are ahead of this hub, or something that it decided is gone: raises the epoch, and dates every target by it, so
 * that sites follow it again. Where reports are missing that sites handed over: takes note of the time, which explains them.
 */
export function restoreHub(
  { missing = 0, handedOver = {} }: { missing?: number; handedOver?: HandedOver },
  asked: Asked,
  registered: Registered,
  facts: PolicyFacts,
): Outcome {
  const { issuer } = registered;
  if (issuer === null) return unready();
  const holds = facts.holds();
  const isBehind = holds.some(({ isEndedByRestore }) => isEndedByRestore);
  const lasting = holds.find(({ isEndedByRestore }) => !isEndedByRestore);
  const trust = facts.distrust();
  const warnings = [
    ...(lasting === undefined ? [] : [`policy stays read-only: ${lasting.detail}: ${lasting.remedy}`]),
    ...(trust.distrusting.length === 0 ? [] : [`${distrustText(trust)}: ${PUT_KEY_BACK}`]),
  ];
  const stays = warnings.length === 0 ? {} : { warning: warnings.join('; ') };
  if (!isBehind && missing === 0)
    return { ok: true, effect: 'unchanged', changes: [], detail: NOTHING_TO_RESTORE, ...stays };
  const policy = isBehind ? restorePolicy(issuer, asked, registered, facts) : null;
  const restored = { ...(policy?.spec ?? issuer.spec), restoredAtMs: asked.nowMs };
  const spec = missing === 0 ? restored : { ...restored, handedOver: noted(issuer, handedOver) };
  const lacks = `${plural(missing, 'report')} that sites had handed over before ${missing === 1 ? 'is' : 'are'} not in its tables`;
  const message = [...(policy?.said ?? []), ...(missing > 0 ? [lacks] : [])].join('; ');
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: restamped(issuer, asked, spec) }, ...(policy?.changes ?? [])],
    told: [{ kind: 'hub.restored', virtualSite: '', message }],
    detail: message,
    ...stays,
  };
}

/** Of sites of which nothing is missing now, what was noted before goes on counting. */
function noted({ spec }: Issuer, handedOver: HandedOver): HandedOver {
  const before = Object.entries(spec.handedOver ?? {}).filter(([site]) => !(site in handedOver));
  return Object.fromEntries([...Object.entries(handedOver), ...before].slice(0, MOST_NAMED));
}

const NOTHING_TO_RESTORE =
  'there is nothing to restore: no site that was heard is ahead of this hub, and no report is missing';

function restorePolicy(issuer: Issuer, asked: Asked, registered: Registered, facts: PolicyFacts) {
  const epoch = Math.max(issuer.spec.epoch, facts.highestEpoch()) + 1;
  const generationsAbove = raised(issuer.spec.generationsAbove, registered, facts);
  const disowned = facts.unknown().slice(0, MOST_NAMED);
  const changes: Change[] = facts.unreadable().flatMap(withoutUnreadable);
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
  return {
    spec: { ...issuer.spec, epoch, generationsAbove, disowned },
    changes,
    said: [
      `policy goes on in epoch ${epoch}: what this hub says counts from now on, whatever sites have seen before`,
      ...(disowned.length === 0 ? [] : [`it leaves alone what it does not have: ${firstFew(disowned, 5)}`]),
    ],
  };
}

/**
 * What sites are found to have, beside what they were found to have before. When that is more names than are kept, those of
 * policies that are here come first, and what was found before last.
 */
function raised(
  before: Issuer['spec']['generationsAbove'],
  registered: Registered,
  facts: PolicyFacts,
): Issuer['spec']['generationsAbove'] {
  const found = Object.entries(facts.reported()).map(
    ([policy, generation]) => [policy, Math.max(generation, before[policy] ?? 0)] as const,
  );
  const here = new Set(
    [...registered.allRollouts()].map(({ spec: { policy } }) => `${policy.kind}/${policy.name}`),
  );
  const all = [...found.filter(([policy]) => here.has(policy)), ...found, ...Object.entries(before)];
  const kept = new Map<string, number>();
  for (const [policy, generation] of all)
    if (kept.size < MOST_NAMED && !kept.has(policy)) kept.set(policy, generation);
  return Object.fromEntries(kept);
}

/** A row that can't be read is done without. The issuer's can't be: which keys sites trust is in it. */
function withoutUnreadable(key: string): Change[] {
  const name = key.slice(key.indexOf('/') + 1);
  const kind = (['Allowlist', 'Rollout', 'VirtualSite'] as const).find(
    (one) => key === resourceKey(one, name),
  );
  return kind === undefined ? [] : [{ remove: { kind, name } }];
}

function restamped(issuer: Issuer, asked: Asked, spec: Issuer['spec']): Issuer {
  return { ...issuer, metadata: stamp(issuer.metadata.name, asked, issuer.metadata), spec };
}

function unready(): Outcome {
  return refuse('not-ready', 'the hub has signed nothing yet; try again in a moment');
}
