import type { Rollout } from '../core/model/rollout.ts';
import { compareVersions, type TargetBody } from '../core/model/signed.ts';
import type { Registry } from './registry.ts';
import { coursesOf } from './rollout/assigned.ts';
import { isWithdrawn } from './signing/policy-documents.ts';
import type { PublishedDocuments } from './signing/published.ts';

const OF_POLICY = /^(Allowlist|Rollout|VirtualSite|Issuer)\//;

/** Keys of unreadable resources that say what sites are to do. */
export function unreadableOfPolicy({ unreadable }: Registry): string[] {
  return [...unreadable].filter((key) => OF_POLICY.test(key));
}

/** Policies that sites may have, by what is published, and of which this hub has no content or rollout, undeleted. */
export function lostPolicies(registry: Registry, documents: PublishedDocuments): string[] {
  return [...documents.targets()]
    .filter((target) => isLost(target, registry))
    .map(({ kind, name }) => `${kind}/${name}`);
}

function isLost({ kind, name, absent }: TargetBody, registry: Registry): boolean {
  return !absent && !registry.hasPolicy(kind, name) && !isWithdrawn(kind, name, registry);
}

/** Why policy is read-only, and what ends that. */
export type Hold = {
  cause: 'key' | 'ahead' | 'loss';
  detail: string;
  remedy: string;
  isEndedByRestore: boolean;
};

/**
 * What is done of policy under the holds that there are. While sites are only ahead, what is on its way is still taken back:
 * it goes out under the next version of its own epoch, which sites that are ahead refuse as older and all others take.
 */
export type Leeway = 'all' | 'take-back' | 'none';

export function leewayOf(holds: readonly Hold[]): Leeway {
  if (holds.length === 0) return 'all';
  return holds.every(({ cause }) => cause === 'ahead') ? 'take-back' : 'none';
}

const BACKUP = 'restore table `resources` from a backup, or run the version that wrote it';

/**
 * Why what this hub holds of policy can't be all that it decided, with what to do. What is gone or can't be read was not
 * deleted by anybody, so that nothing may be withdrawn for it.
 */
export function lossHolds(registry: Registry, documents: PublishedDocuments): Hold[] {
  const disowned = new Set(registry.issuer?.spec.disowned);
  const gone = lostPolicies(registry, documents).filter((policy) => !disowned.has(policy));
  return [
    ...unreadableOfPolicy(registry).map(unreadableHold),
    ...gone.map(goneHold),
    // One without its allowlist brings nothing to anybody.
    ...[...registry.allRollouts()].flatMap((rollout) =>
      registry.allowlist(rollout.spec.policy.name) === undefined
        ? []
        : (rolloutHold(rollout, registry, documents) ?? []),
    ),
  ];
}

function unreadableHold(row: string): Hold {
  const isEndedByRestore = !row.startsWith('Issuer/');
  return {
    cause: 'loss',
    detail: `resource ${row} can't be read`,
    remedy: isEndedByRestore ? `${BACKUP}; \`plumbline restore\` does without it` : BACKUP,
    isEndedByRestore,
  };
}

function goneHold(policy: string): Hold {
  return {
    cause: 'loss',
    detail: `${policy} is published, and this hub has it no more, though nobody deleted it`,
    remedy: `${BACKUP}; \`plumbline restore\` does without it, and leaves it at its sites`,
    isEndedByRestore: true,
  };
}

function rolloutHold({ spec }: Rollout, registry: Registry, documents: PublishedDocuments): Hold | null {
  const { kind, name } = spec.policy;
  const published = documents.target(kind, name)?.body;
  if (published?.absent === false && compareVersions(published.version, spec.version) > 0)
    return {
      cause: 'loss',
      detail: `${kind} ${name} is published in version ${published.version.epoch}.${published.version.n}, and this hub has decided no further than ${spec.version.epoch}.${spec.version.n}: its table \`resources\` is older than what it published`,
      remedy: '`plumbline restore` says that it counts',
      isEndedByRestore: true,
    };
  const gone = coursesOf(spec).find(({ virtualSite }) => registry.virtualSite(virtualSite) === undefined);
  return gone === undefined
    ? null
    : {
        cause: 'loss',
        detail: `${kind} ${name} goes to virtual site ${gone.virtualSite}, which is gone, though nobody could delete it`,
        remedy: 'apply it again',
        isEndedByRestore: false,
      };
}
