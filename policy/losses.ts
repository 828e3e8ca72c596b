import { type Rollout, rolloutName } from '../core/model/rollout.ts';
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
  const isThere =
    registry.allowlist(name) !== undefined && registry.rollout(rolloutName(kind, name)) !== undefined;
  return !absent && !isThere && !isWithdrawn(kind, name, registry);
}

/** Why nothing of policy is changed, and what ends that. */
export type Hold = { detail: string; remedy: string };

const BACKUP = 'restore table `resources` from a backup, or run the version that wrote it';

/**
 * Why what this hub holds of policy can't be all that it decided, with what to do; null when it can. What is gone or can't be
 * read was not deleted by anybody, so that nothing may be withdrawn for it.
 */
export function lossHold(registry: Registry, documents: PublishedDocuments): Hold | null {
  const [row] = unreadableOfPolicy(registry);
  if (row !== undefined)
    return {
      detail: `resource ${row} can't be read`,
      remedy: row.startsWith('Issuer/') ? BACKUP : `${BACKUP}; \`plumbline restore\` does without it`,
    };
  const disowned = registry.issuer?.spec.disowned ?? [];
  const gone = lostPolicies(registry, documents).find((policy) => !disowned.includes(policy));
  if (gone !== undefined)
    return {
      detail: `${gone} is published, and this hub has it no more, though nobody deleted it`,
      remedy: `${BACKUP}; \`plumbline restore\` does without it, and leaves it at its sites`,
    };
  for (const rollout of registry.allRollouts()) {
    const hold = rolloutHold(rollout, registry, documents);
    if (hold !== null) return hold;
  }
  return null;
}

function rolloutHold({ spec }: Rollout, registry: Registry, documents: PublishedDocuments): Hold | null {
  const { kind, name } = spec.policy;
  const published = documents.target(kind, name)?.body;
  if (published?.absent === false && compareVersions(published.version, spec.version) > 0)
    return {
      detail: `${kind} ${name} is published in version ${published.version.epoch}.${published.version.n}, and this hub has decided no further than ${spec.version.epoch}.${spec.version.n}: its table \`resources\` is older than what it published`,
      remedy: '`plumbline restore` says that it counts',
    };
  const gone = coursesOf(spec).find(({ virtualSite }) => registry.virtualSite(virtualSite) === undefined);
  return gone === undefined
    ? null
    : {
        detail: `${kind} ${name} goes to virtual site ${gone.virtualSite}, which is gone, though nobody could delete it`,
        remedy: 'apply it again',
      };
}
