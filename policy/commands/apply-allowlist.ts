import { isDeepStrictEqual } from 'node:util';
import type { AllowlistDocument } from '../../core/model/allowlist.ts';
import { API_VERSION } from '../../core/model/metadata.ts';
import type { Allowlist, Rollout } from '../../core/model/rollout.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { compareVersions, type Version } from '../../core/model/signed.ts';
import { allowlistFaults } from '../../core/policy/allowlist-faults.ts';
import { digestOf } from '../../core/policy/digest.ts';
import { REMEDY_OF_FAILED } from '../../core/policy/not-begun.ts';
import { whoText } from '../../core/rollout-words.ts';
import type { PolicyFacts, PublishedPolicy } from '../policy-facts.ts';
import type { Registered } from '../registry.ts';
import { askerOf } from '../rollout/acts.ts';
import { coursesOf, stageOf } from '../rollout/assigned.ts';
import { begin } from '../rollout/start.ts';
import type { Told } from '../rollout/told.ts';
import { isWithdrawn } from '../signing/policy-documents.ts';
import { type Asked, full, MOST, type Outcome, refuse, stamp } from './outcome.ts';
import { needsApproval } from './rollout-approval.ts';
import { busy, unfitStages } from './stage-rules.ts';
import { tooLong } from './target-size.ts';

/** What a target holds of virtual sites. */
const MAX_COURSES = 32;

/**
 * Takes an allowlist: other content is a new generation, and sets out; another strategy alone sets the same generation out
 * anew. The same document again changes nothing. Content that failed is taken as a retry alone, which sets it out anew.
 */
export function applyAllowlist(
  document: AllowlistDocument,
  asked: Asked,
  registered: Registered,
  facts: PolicyFacts,
  isRetry: boolean,
): Outcome {
  const { name } = document.metadata;
  const [fault] = allowlistFaults(document);
  if (fault !== undefined)
    return refuse(
      'invalid-document',
      `${fault.pointer} of Allowlist ${name}: ${fault.problem}; ${fault.remedy}`,
      fault.pointer,
    );
  const before = registered.allowlist(name);
  const digest = digestOf(document.spec);
  const isSameContent = before?.spec.digest === digest;
  const running = registered.rollout(rolloutName('Allowlist', name));
  const hasFailed = running?.spec.failedDigests.includes(digest) === true;
  const isSame = isSameContent && isDeepStrictEqual(before?.spec.rollout, document.rollout);
  // One whose rollout was lost is rolled out anew.
  if (running !== undefined && isSame && !(hasFailed && isRetry))
    return { ok: true, effect: 'unchanged', changes: [] };
  const refused =
    unfitStages(document, registered, facts) ??
    tooMany(before, registered) ??
    (hasFailed && !isRetry ? failedBefore(name) : null);
  if (refused !== null) return refused;
  const generation =
    isSameContent && before !== undefined
      ? before.spec.generation
      : nextGeneration(name, before, registered, facts);
  const spec: Allowlist['spec'] = { spec: document.spec, rollout: document.rollout, generation, digest };
  const metadata = stamp(name, asked, before?.metadata ?? null);
  const resource: Allowlist = { apiVersion: API_VERSION, kind: 'Allowlist', metadata, spec };
  const begun = setOut(
    resource,
    isSameContent ? (running?.spec.authors ?? []) : [],
    asked,
    registered,
    facts,
  );
  return begun.ok ? { ...begun, effect: before === undefined ? 'created' : 'updated' } : begun;
}

function tooMany(before: Allowlist | undefined, registered: Registered): Outcome | null {
  const isFull = before === undefined && registered.count('Allowlist') >= MOST.Allowlist;
  return isFull ? full('Allowlist', 'allowlists') : null;
}

function failedBefore(name: string): Outcome {
  return refuse(
    'digest-failed',
    `this very content of Allowlist ${name} failed its verification; ${REMEDY_OF_FAILED}`,
  );
}

/** Above everything that was ever called a generation of this name, here or at a site. */
function nextGeneration(
  name: string,
  before: Allowlist | undefined,
  { issuer }: Registered,
  facts: PolicyFacts,
): number {
  return (
    Math.max(
      before?.spec.generation ?? 0,
      facts.published('Allowlist', name)?.generation ?? 0,
      issuer?.spec.generationsAbove[`Allowlist/${name}`] ?? 0,
    ) + 1
  );
}

function setOut(
  allowlist: Allowlist,
  authors: readonly string[],
  asked: Asked,
  registered: Registered,
  facts: PolicyFacts,
): Outcome {
  const { name } = allowlist.metadata;
  const before = registered.rollout(rolloutName('Allowlist', name));
  const published = facts.published('Allowlist', name);
  const epoch = registered.issuer?.spec.epoch ?? 1;
  const { spec, told } = begin({
    name,
    allowlist: allowlist.spec,
    before: before?.spec ?? null,
    promoted: before?.spec.promoted ?? keptWithout(name, registered, published),
    version: newest({ epoch, n: 0 }, before?.spec.version, published?.version),
    authors: [...new Set([...authors, asked.by])].slice(-64),
    asker: askerOf(asked),
    awaitsApproval: needsApproval(allowlist.spec.rollout.stages[0], registered),
    nowMs: asked.nowMs,
  });
  const refused = busy(name, stageOf(spec).status.virtualSite, registered);
  if (refused !== null) return refused;
  if (coursesOf(spec).length > MAX_COURSES)
    return refuse(
      'too-large',
      `Allowlist ${name} would be at ${coursesOf(spec).length} virtual sites, with those of its earlier strategies; ${MAX_COURSES} is the most`,
    );
  const long = tooLong(spec, registered);
  if (long !== null) return long;
  const rollout: Rollout = {
    apiVersion: API_VERSION,
    kind: 'Rollout',
    metadata: stamp(rolloutName('Allowlist', name), asked, before?.metadata ?? null),
    spec,
  };
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: allowlist }, { put: rollout }],
    told: [applied(allowlist, asked), ...told],
  };
}

/** Where a rollout was lost, sites keep what they were told to run until a stage comes to them; where it was deleted, nothing. */
function keptWithout(name: string, registered: Registered, published: PublishedPolicy | null) {
  return isWithdrawn('Allowlist', name, registered) ? [] : (published?.current ?? []);
}

function newest(...versions: (Version | undefined)[]): Version {
  const known = versions.filter((version) => version !== undefined);
  return known.reduce((a, b) => (compareVersions(a, b) >= 0 ? a : b));
}

function applied({ metadata, spec }: Allowlist, asked: Asked): Told {
  const isNew = metadata.revision === 1;
  return {
    kind: isNew ? 'policy.created' : 'policy.changed',
    virtualSite: '',
    message: `Allowlist ${metadata.name} was ${isNew ? 'created' : 'changed'} by ${whoText(askerOf(asked))}; generation ${spec.generation}, digest ${spec.digest}`,
  };
}
