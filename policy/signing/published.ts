import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import {
  Envelope,
  type IntentKind,
  type SignedBody,
  SignedBody as SignedBodySchema,
  type SiteBody,
  type SpecBody,
  siteKey,
  specKey,
  type TargetBody,
  targetKey,
} from '../../core/model/signed.ts';
import type { TableEntry } from '../../core/ports/table.ts';

const envelopes = Compile(Envelope);
const bodies = Compile(SignedBodySchema);

export type Published<B extends SignedBody = SignedBody> = { keyId: string; body: B };

/**
 * What tables `specs` and `targets` hold, as control, their only writer, knows it: read once after the claim and moved on by
 * each durable write. What can't be read counts as not there, and is written anew.
 */
export class PublishedDocuments {
  readonly #documents = new Map<string, Published>();
  /** By `<kind>/<name>`. */
  readonly #generations = new Map<string, Set<number>>();

  load(entries: Iterable<[string, Uint8Array]>): void {
    for (const [key, value] of entries) this.#take(key, read(value));
  }

  apply(entries: readonly TableEntry[]): void {
    for (const { key, value } of entries) this.#take(key, value === null ? null : read(value));
  }

  #take(key: string, document: Published | null): void {
    const before = this.#documents.get(key);
    if (before?.body.type === 'spec') this.#generationsOf(before.body).delete(before.body.generation);
    if (document?.body.type === 'spec') this.#generationsOf(document.body).add(document.body.generation);
    if (document === null) this.#documents.delete(key);
    else this.#documents.set(key, document);
  }

  #generationsOf({ kind, name }: SpecBody): Set<number> {
    const policy = `${kind}/${name}`;
    const generations = this.#generations.get(policy) ?? new Set();
    this.#generations.set(policy, generations);
    return generations;
  }

  get(key: string): Published | undefined {
    return this.#documents.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#documents.keys();
  }

  target(kind: IntentKind, name: string): Published<TargetBody> | undefined {
    const found = this.#documents.get(targetKey(kind, name));
    return found?.body.type === 'target' ? { keyId: found.keyId, body: found.body } : undefined;
  }

  spec(kind: IntentKind, name: string, generation: number): Published<SpecBody> | undefined {
    const found = this.#documents.get(specKey(kind, name, generation));
    return found?.body.type === 'spec' ? { keyId: found.keyId, body: found.body } : undefined;
  }

  site(site: string): Published<SiteBody> | undefined {
    const found = this.#documents.get(siteKey(site));
    return found?.body.type === 'site' ? { keyId: found.keyId, body: found.body } : undefined;
  }

  /** Generations of a policy whose specification is there, in order. */
  generations(kind: IntentKind, name: string): number[] {
    return [...(this.#generations.get(`${kind}/${name}`) ?? [])].sort((a, b) => a - b);
  }

  /** The newest that was ever published under this name, also of a policy that was deleted; 0 when there was none. */
  newestGeneration(kind: IntentKind, name: string): number {
    const lastGeneration = this.target(kind, name)?.body.lastGeneration ?? 0;
    return Math.max(this.generations(kind, name).at(-1) ?? 0, lastGeneration);
  }

  /** Every target that is there, of deleted policies too. */
  *targets(): Iterable<TargetBody> {
    for (const { body } of this.#documents.values()) if (body.type === 'target') yield body;
  }

  *sites(): Iterable<SiteBody> {
    for (const { body } of this.#documents.values()) if (body.type === 'site') yield body;
  }
}

function read(value: Uint8Array): Published | null {
  const envelope = readJson(Buffer.from(value).toString('utf8'));
  if (!envelopes.Check(envelope)) return null;
  const body = readJson(envelope.payload);
  return bodies.Check(body) ? { keyId: envelope.keyId, body } : null;
}
