import Type from 'typebox';
import { Compile } from 'typebox/compile';
import {
  type Dialect,
  learning,
  removal,
  transaction,
  wholeTable,
} from '../../core/dataplane/nftables/commands.ts';
import { compile } from '../../core/dataplane/nftables/compile.ts';
import { FAMILY, TABLE } from '../../core/dataplane/nftables/identifiers.ts';
import { type Listing, readListing } from '../../core/dataplane/nftables/listing.ts';
import type { Model } from '../../core/dataplane/nftables/model.ts';
import { EnforcerError } from '../../core/ports/enforcer.ts';
import { raised } from './failure.ts';
import { type HeldNames, heldFor, keepsOf } from './held-names.ts';
import type { Run } from './run.ts';
import { SPECIMEN } from './specimen.ts';

const asListed = Compile(
  Type.Object({
    nftables: Type.Array(Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()))),
  }),
);

/** The table in the kernel, as nft reads and writes it. Rejects with EnforcerError. */
export class KernelTable {
  readonly #run: Run;
  #dialect: Dialect = { dynamicFlag: false };

  constructor(run: Run) {
    this.#run = run;
  }

  /** Asks nft and the kernel for every feature that a policy can need, and finds out which dialect nft speaks. */
  async check(): Promise<void> {
    const model = compile(SPECIMEN);
    const names = keepsOf(heldFor(model, new Map(), SPECIMEN.names, null, 0), 0);
    for (const dynamicFlag of [true, false]) {
      this.#dialect = { dynamicFlag };
      const result = await this.#run(['-c', '-j', '-f', '-'], wholeTable(model, names, this.#dialect));
      if (result.ok) return;
      if (dynamicFlag && result.code === 'rejected') continue;
      throw raised({ ...result, code: result.code === 'rejected' ? 'unsupported' : result.code });
    }
  }

  /** Null when there is none. */
  async list(): Promise<Listing | null> {
    const listed = await this.#listed();
    return listed === null ? null : readable(listed, readListing);
  }

  /** What makes the table as it is now, whoever made it; null when there is none. Rejects where that could not be loaded. */
  async textNow(): Promise<string | null> {
    const listed = await this.#listed();
    if (listed === null) return null;
    const text = readable(listed, madeAgain);
    const checked = await this.#run(['-c', '-j', '-f', '-'], text);
    if (!checked.ok) throw raised(checked);
    return text;
  }

  /** False when the table is no longer as listed: nothing was changed then. */
  async write(model: Model, listed: Listing | null, names: HeldNames, nowMs: number): Promise<boolean> {
    const text = transaction(model, listed, keepsOf(names, nowMs), this.#dialect);
    const result = await this.#run(['-j', '-f', '-'], text);
    if (result.ok) return true;
    if (result.stale) return false;
    throw raised(result);
  }

  learn(
    model: Model,
    keepS: ReadonlyMap<string, ReadonlyMap<string, number>>,
    gone: ReadonlyMap<string, readonly string[]>,
  ): Promise<void> {
    return this.load(learning(model, keepS, gone));
  }

  remove(): Promise<void> {
    return this.load(removal());
  }

  /** What makes all of it at the start of the machine. */
  wholeText(model: Model, names: HeldNames, nowMs: number): string {
    return wholeTable(model, keepsOf(names, nowMs), this.#dialect);
  }

  /** A text that `wholeText` or `textNow` gave. */
  async load(text: string): Promise<void> {
    const result = await this.#run(['-j', '-f', '-'], text);
    if (!result.ok) throw raised(result);
  }

  async #listed(): Promise<string | null> {
    const result = await this.#run(['-j', 'list', 'table', FAMILY, TABLE]);
    if (result.ok) return result.stdout;
    if (result.stale) return null;
    throw raised(result);
  }
}

/** nft takes what it lists for what is to be added; a rule's handle would be the place to add it at. */
function madeAgain(listed: string): string {
  const { nftables } = asListed.Decode(JSON.parse(listed));
  const table = { table: { family: FAMILY, name: TABLE } };
  const objects = nftables.flatMap((object) =>
    Object.entries(object).flatMap(([kind, { handle: _handle, ...fields }]) =>
      kind === 'metainfo' ? [] : [{ [kind]: fields }],
    ),
  );
  return JSON.stringify({ nftables: [{ add: table }, { delete: table }, ...objects] });
}

function readable<T>(text: string, read: (text: string) => T): T {
  try {
    return read(text);
  } catch (error) {
    // Versions of nft have written listings that are no JSON, of tables that others had put strange things into.
    const reason = error instanceof Error ? error.message : 'unknown';
    throw new EnforcerError('rejected', `nft gave a listing that can't be read (${reason.slice(0, 100)})`);
  }
}
