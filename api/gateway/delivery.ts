import type { SiteMessage } from '../../core/channel.ts';
import { KEYS_KEY } from '../../core/model/signed.ts';
import type { Document, Documents, Holding } from './documents.ts';

/** So much of documents in one frame, which has at most 1 MiB with what is around them, and so many of them. */
const MAX_CHUNK_BYTES = 900_000;
const MAX_CHUNK_DOCUMENTS = 256;

type Have = Extract<SiteMessage, { type: 'have' }>;
export type Chunk = { documents: Document[]; whole: boolean };

/** What one channel's site still has to be sent: worked out anew for every chunk, so that nothing waits in memory for a slow reader. */
export class Delivery {
  readonly #site: string;
  readonly #documents: Documents;
  readonly #holding: Holding;
  #due: Set<string> | 'all' = 'all';
  /** A site that just came is told also that there is nothing. */
  #isTold = false;

  constructor(site: string, { targets, specs }: Have, documents: Documents) {
    this.#site = site;
    this.#documents = documents;
    this.#holding = {
      versions: new Map(targets.map(({ key, version }) => [key, version])),
      specs: new Set(specs),
      told: new Set(),
    };
  }

  note(targets: ReadonlySet<string> | 'all'): void {
    if (targets === 'all') this.#due = 'all';
    else if (this.#due !== 'all') for (const target of targets) this.#due.add(target);
  }

  /** The next documents to send, taken for held from now on; null when there is nothing to say. */
  next(): Chunk | null {
    const { documents: due, held } = this.#documents.due(this.#site, this.#holding, this.#due);
    const documents: Document[] = [];
    let bytes = 0;
    for (const document of due) {
      const isFull = bytes + document.bytes.byteLength > MAX_CHUNK_BYTES;
      if (documents.length > 0 && (isFull || documents.length >= MAX_CHUNK_DOCUMENTS)) break;
      documents.push(document);
      bytes += document.bytes.byteLength;
    }
    for (const document of documents) this.#hold(document);
    const whole = documents.length === due.length && !held;
    if (whole) this.#due = new Set();
    if (documents.length === 0 && (this.#isTold || held)) return null;
    this.#isTold = whole;
    return { documents, whole };
  }

  #hold({ key, version }: Document): void {
    if (version === null) {
      this.#holding.specs.add(key);
      return;
    }
    this.#holding.told.add(key);
    // A keyring of the past is a step to the newest, which is sent after it.
    if (!key.startsWith(`${KEYS_KEY}/`)) this.#holding.versions.set(key, version);
  }
}
