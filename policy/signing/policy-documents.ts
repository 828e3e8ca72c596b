import { isDeepStrictEqual } from 'node:util';
import type { Allowlist, Rollout } from '../../core/model/rollout.ts';
import {
  compareVersions,
  type IntentKind,
  type SignedBody,
  type SpecBody,
  specKey,
  type TargetBody,
  targetKey,
  type Version,
} from '../../core/model/signed.ts';
import { type SigningKey, signBody } from '../../core/policy/sign.ts';
import type { TableEntry } from '../../core/ports/table.ts';
import type { Registered } from '../registry.ts';
import { nextVersion } from '../rollout/assigned.ts';
import {
  absentContent,
  generationsIn,
  specBody,
  type TargetContent,
  targetContent,
} from '../rollout/target.ts';
import type { Published, PublishedDocuments } from './published.ts';

/** Until when a target may be accepted; it is issued again, under another version, when half of that is over. */
const ACCEPTED_FOR_MS = 7 * 86_400_000;
/** Newest specifications that are kept, also when the target does not name them. */
const SPECS_KEPT = 8;

/** The version under which the target has to go out, when what is published does not fit or runs out; null when it fits. */
export function versionDue(
  rollout: Rollout,
  registered: Registered,
  published: PublishedDocuments,
  nowMs: number,
): Version | null {
  const { policy, version } = rollout.spec;
  const before = published.target(policy.kind, policy.name)?.body;
  if (before === undefined || compareVersions(before.version, version) < 0) return null;
  const isSaid = isDeepStrictEqual(contentOf(before), targetContent(rollout.spec, registered));
  return isSaid && isLasting(before, nowMs) ? null : nextVersion(before.version);
}

/** What is to be written to tables `specs` and `targets` for one policy, so that they say what the registry says. */
export function policyEntries(
  kind: IntentKind,
  name: string,
  policy: { allowlist: Allowlist | undefined; rollout: Rollout | undefined },
  registered: Registered,
  published: PublishedDocuments,
  signer: SigningKey,
  nowMs: number,
): { specs: TableEntry[]; targets: TableEntry[]; obsolete: TableEntry[] } {
  const { allowlist, rollout } = policy;
  const before = published.target(kind, name);
  const epoch = registered.issuer?.spec.epoch ?? 1;
  if (allowlist === undefined || rollout === undefined) {
    // Only what somebody deleted is withdrawn. That it is not there can be a loss, and then sites keep what they have.
    const isDeleted = before?.body.absent === true || isWithdrawn(kind, name, registered);
    if (before === undefined) return { specs: [], targets: [], obsolete: [] };
    if (!isDeleted) return { ...signedAnew(before, published, signer), obsolete: [] };
    // A site withdraws without any specification; it needs the target alone, however late it comes back.
    const generations = published.generations(kind, name);
    return {
      specs: [],
      targets: absentTarget(before, generations.at(-1) ?? 0, epoch, signer, nowMs),
      obsolete: removed(kind, name, generations),
    };
  }
  const content = targetContent(rollout.spec, registered);
  const bases = rollout.spec.base.map(({ generation }) => generation);
  const needed = new Set([...generationsIn(content), ...bases, allowlist.spec.generation]);
  return {
    specs: specEntries(allowlist, needed, published, signer),
    // Nothing was ever to be done about it.
    targets:
      rollout.spec.version.n === 0 ? [] : targetEntry(content, rollout.spec.version, before, signer, nowMs),
    obsolete: obsoleteSpecs(kind, name, needed, published),
  };
}

export function isWithdrawn(kind: IntentKind, name: string, { issuer }: Registered): boolean {
  return issuer?.spec.withdrawn?.includes(`${kind}/${name}`) === true;
}

function specEntries(
  allowlist: Allowlist,
  needed: ReadonlySet<number>,
  published: PublishedDocuments,
  signer: SigningKey,
): TableEntry[] {
  const { name } = allowlist.metadata;
  const newest = specBody(allowlist);
  const entries: TableEntry[] = [];
  for (const generation of needed) {
    const before = published.spec('Allowlist', name, generation);
    const body = generation === newest.generation ? newest : before?.body;
    const isThere = before?.keyId === signer.id && isDeepStrictEqual(before.body, body);
    if (body === undefined || isThere) continue;
    entries.push(specEntry(body, signer));
  }
  return entries;
}

/** Of a policy that this hub was restored without, which sites keep as it is: what is published of it, by the key that signs. */
function signedAnew(
  { keyId, body }: Published<TargetBody>,
  published: PublishedDocuments,
  signer: SigningKey,
): { specs: TableEntry[]; targets: TableEntry[] } {
  const { kind, name } = body;
  const specs = [...generationsIn(body)].flatMap((generation) => {
    const before = published.spec(kind, name, generation);
    return before === undefined || before.keyId === signer.id ? [] : [specEntry(before.body, signer)];
  });
  const targets = keyId === signer.id ? [] : [entryOf(targetKey(kind, name), body, signer)];
  return { specs, targets };
}

function specEntry(body: SpecBody, signer: SigningKey): TableEntry {
  return entryOf(specKey(body.kind, body.name, body.generation), body, signer);
}

function entryOf(key: string, body: SignedBody, signer: SigningKey): TableEntry {
  return { key, value: Buffer.from(JSON.stringify(signBody(body, signer))) };
}

function obsoleteSpecs(
  kind: IntentKind,
  name: string,
  needed: ReadonlySet<number>,
  published: PublishedDocuments,
): TableEntry[] {
  const old = published.generations(kind, name).slice(0, -SPECS_KEPT);
  return removed(
    kind,
    name,
    old.filter((generation) => !needed.has(generation)),
  );
}

function removed(kind: IntentKind, name: string, generations: readonly number[]): TableEntry[] {
  return generations.map((generation) => ({ key: specKey(kind, name, generation), value: null }));
}

function absentTarget(
  before: Published<TargetBody>,
  newestThere: number,
  epoch: number,
  signer: SigningKey,
  nowMs: number,
): TableEntry[] {
  const { kind, name, version, absent, lastGeneration } = before.body;
  const content = absentContent(kind, name, Math.max(lastGeneration ?? 0, newestThere));
  const isSaid = absent && lastGeneration === content.lastGeneration && version.epoch >= epoch;
  const isDated = isSaid && isLasting(before.body, nowMs);
  const due = isDated ? version : nextVersion({ epoch: Math.max(epoch, version.epoch), n: version.n });
  return targetEntry(content, due, before, signer, nowMs);
}

/**
 * None when it is there, in a version as new and by the key that signs. By another key it is signed again as it is, times and
 * all: a version has one content, ever.
 */
function targetEntry(
  content: TargetContent,
  version: Version,
  before: Published<TargetBody> | undefined,
  signer: SigningKey,
  nowMs: number,
): TableEntry[] {
  const isSaid =
    before !== undefined &&
    compareVersions(before.body.version, version) >= 0 &&
    isDeepStrictEqual(contentOf(before.body), content);
  if (isSaid && before.keyId === signer.id) return [];
  const times = { issuedAtMs: nowMs, expiresAtMs: nowMs + ACCEPTED_FOR_MS };
  const body: TargetBody = isSaid ? before.body : { ...content, version, ...times };
  return [entryOf(targetKey(content.kind, content.name), body, signer)];
}

function isLasting({ expiresAtMs }: TargetBody, nowMs: number): boolean {
  return expiresAtMs - nowMs > ACCEPTED_FOR_MS / 2;
}

function contentOf({ version: _v, issuedAtMs: _i, expiresAtMs: _e, ...content }: TargetBody): TargetContent {
  return content;
}
