import type { Chunk } from './delivery.ts';

/** Frames that many sites get alike: made once, and sent as the same bytes. */
const MAX_KEPT = 16;

/** Builds `documents` messages out of documents as they stand in their tables, which are JSON. */
export class DocumentFrames {
  readonly #kept = new Map<string, Buffer>();

  frame({ documents, whole }: Chunk): Buffer {
    const name = documents
      .map(({ key, version }) => (version === null ? key : `${key}@${version.epoch}.${version.n}`))
      .concat(String(whole))
      .join(' ');
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const parts: Uint8Array[] = [Buffer.from('{"type":"documents","envelopes":[')];
    for (const [i, { bytes }] of documents.entries()) {
      if (i > 0) parts.push(Buffer.from(','));
      parts.push(bytes);
    }
    parts.push(Buffer.from(`],"whole":${whole}}`));
    const frame = Buffer.concat(parts);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(name, frame);
    return frame;
  }

  /** Other documents stand in the tables now; what was made of the old ones is not sent again. */
  clear(): void {
    this.#kept.clear();
  }
}
