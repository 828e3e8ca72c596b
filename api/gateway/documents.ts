import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import {
  compareVersions,
  Envelope,
  KEYS_KEY,
  SignedBody,
  type SiteBody,
  siteKey,
  specKey,
  type TargetBody,
  type Version,
} from '../../core/model/signed.ts';
import type { Labels } from '../../core/model/site.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { TableView } from '../../core/ports/table.ts';
import { matches } from '../../core/selector.ts';

const envelopes = Compile(Envelope);
const bodies = Compile(SignedBody);

/**
 * What a site has, by what it said and what it was sent since. `told` are the targets that this channel has brought: each is
 * sent once, also when the site has it already, since it takes one that does not come for one that nobody speaks of any more.
 */
export type Holding = { versions: Map<string, Version>; specs: Set<string>; told: Set<string> };
/** A signed document as it stands in its table. `version` null: a specification, which has none. */
export type Document = {
  key: string;
  version: Version | null;
  /** Which key signed it. */
  keyId: string;
  bytes: Uint8Array;
  issuedAtMs: number | null;
};
/** Which policies' targets may concern a site differently from now on, by key; `all` of them when its labels changed. */
export type Concern = { site: string | null; targets: ReadonlySet<string> | 'all' };

type Target = { document: Document; body: TargetBody };

/** Tables `specs` and `targets` as a gateway reads them: which documents concern which site. It believes and checks nothing of them; sites do. */
export class Documents {
  readonly #targets = new Map<string, Target>();
  readonly #sites = new Map<string, { document: Document; body: SiteBody }>();
  readonly #keyrings = new Map<string, Document & { version: Version; keys: ReadonlySet<string> }>();
  readonly #specs = new Map<string, Document>();
  readonly #logger: Logger;
  readonly #listeners = new Set<(concerns: readonly Concern[]) => void>();
  readonly #stops: (() => void)[] = [];

  constructor(views: { specs: TableView; targets: TableView }, logger: Logger) {
    this.#logger = logger;
    for (const view of [views.specs, views.targets]) {
      for (const [key, bytes] of view.entries()) this.#take(key, bytes);
      this.#stops.push(
        view.onChange((keys) => {
          const concerns = keys.map((key) => this.#take(key, view.get(key)));
          for (const listener of this.#listeners) listener(concerns);
        }),
      );
    }
  }

  onChange(listener: (concerns: readonly Concern[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /**
   * In an order in which each is understood: keys, labels, and specifications before the targets that name them. While keys
   * are exchanged, what is not signed anew yet is `held` back, since no site would believe it.
   */
  due(
    site: string,
    holding: Holding,
    targets: ReadonlySet<string> | 'all',
  ): { documents: Document[]; held: boolean } {
    const own = this.#sites.get(siteKey(site));
    const labels = own?.body.labels ?? null;
    const due: Document[] = this.#keyringsDue(holding);
    if (own !== undefined && isNewer(own.document, holding)) due.push(own.document);
    const newer: Document[] = [];
    for (const target of this.#some(targets)) {
      const assignment = labels === null ? undefined : assignmentOf(target.body, labels);
      if (assignment === undefined && !holding.versions.has(target.document.key)) continue;
      const { key } = target.document;
      if (!holding.told.has(key) || isNewer(target.document, holding)) newer.push(target.document);
      due.push(...this.#specsDue(target.body, assignment, holding));
    }
    const wanted = [...due, ...newer];
    const documents = wanted.filter((document) => this.#isBelieved(document));
    return { documents, held: documents.length < wanted.length };
  }

  #isBelieved({ key, keyId }: Document): boolean {
    const { keys } = this.#keyrings.get(KEYS_KEY) ?? {};
    return keys === undefined || this.#keyrings.has(key) || keys.has(keyId);
  }

  *#some(keys: ReadonlySet<string> | 'all'): Iterable<Target> {
    if (keys === 'all') yield* this.#targets.values();
    else
      for (const key of keys) {
        const target = this.#targets.get(key);
        if (target !== undefined) yield target;
      }
  }

  #specsDue(
    { kind, name }: TargetBody,
    assignment: TargetBody['assignments'][number] | undefined,
    { specs }: Holding,
  ): Document[] {
    const generations = new Set(
      [assignment?.current, assignment?.next].flatMap((assigned) => assigned?.generation ?? []),
    );
    return [...generations].flatMap((generation) => {
      const key = specKey(kind, name, generation);
      return specs.has(key) ? [] : (this.#specs.get(key) ?? []);
    });
  }

  /** A site that trusts keys already follows from one to the next; one that has none yet takes the newest as they are. */
  #keyringsDue(holding: Holding): Document[] {
    const newest = this.#keyrings.get(KEYS_KEY);
    if (newest === undefined || !isNewer(newest, holding)) return [];
    const known = holding.versions.get(KEYS_KEY);
    const steps = [...this.#keyrings.values()].filter(
      // In a higher epoch too: what introduces a key that a site has already is signed by one that it may have dropped.
      ({ key, version }) => key !== KEYS_KEY && known !== undefined && version.n > known.n,
    );
    return [...steps.sort((a, b) => compareVersions(a.version, b.version)), newest];
  }

  #take(key: string, bytes: Uint8Array | undefined): Concern {
    const opened = bytes === undefined ? null : open(bytes);
    if (bytes !== undefined && opened === null) this.#logger.error({ key }, 'document.unreadable');
    const body = opened?.body ?? null;
    const version = body === null || body.type === 'spec' ? null : body.version;
    const issuedAtMs = body?.type === 'target' ? body.issuedAtMs : null;
    const keyId = opened?.keyId ?? '';
    const document = bytes === undefined ? null : { key, version, keyId, bytes, issuedAtMs };
    for (const map of [this.#targets, this.#sites, this.#keyrings, this.#specs]) map.delete(key);
    if (document !== null && body !== null) this.#keep(document, body);
    const [, kind, name] = key.split('/');
    if (kind === 'Site') return { site: name ?? '', targets: 'all' };
    if (kind === 'Keys') return { site: null, targets: new Set() };
    return { site: null, targets: new Set([key.split('/').slice(0, 3).join('/')]) };
  }

  #keep(document: Document, body: SignedBody): void {
    const { key } = document;
    if (body.type === 'target') this.#targets.set(key, { document, body });
    else if (body.type === 'site') this.#sites.set(key, { document, body });
    else if (body.type === 'spec') this.#specs.set(key, document);
    else
      this.#keyrings.set(key, {
        ...document,
        version: body.version,
        keys: new Set(body.keys.map(({ id }) => id)),
      });
  }
}

function assignmentOf({ assignments }: TargetBody, labels: Labels) {
  return assignments.find(({ selector }) => matches(selector, labels));
}

function isNewer({ key, version }: Document, { versions }: Holding): boolean {
  const known = versions.get(key);
  return version !== null && (known === undefined || compareVersions(version, known) > 0);
}

function open(bytes: Uint8Array): { keyId: string; body: SignedBody } | null {
  const envelope = readJson(Buffer.from(bytes).toString('utf8'));
  if (!envelopes.Check(envelope)) return null;
  const body = readJson(envelope.payload);
  return bodies.Check(body) ? { keyId: envelope.keyId, body } : null;
}
