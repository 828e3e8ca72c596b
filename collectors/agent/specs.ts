import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import { SpecBody } from '../../core/model/signed.ts';
import type { Memory } from './state.ts';

const validator = Compile(SpecBody);

/** Specifications by digest, each a text of its own in the memory, read once. */
export class Specs {
  readonly #memory: Memory;
  readonly #read = new Map<string, AllowlistSpec>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The same object each time; null when it is not kept, or can't be read. */
  get(digest: string): AllowlistSpec | null {
    const known = this.#read.get(digest);
    if (known !== undefined) return known;
    const value = readJson(this.#memory.kept(nameOf(digest)) ?? 'null');
    if (!validator.Check(value)) return null;
    this.#read.set(digest, value.spec);
    return value.spec;
  }

  keep(body: SpecBody): void {
    this.#memory.keep(nameOf(body.digest), JSON.stringify(body));
    if (!this.#read.has(body.digest)) this.#read.set(body.digest, body.spec);
  }

  forget(digest: string): void {
    this.#memory.keep(nameOf(digest), null);
    this.#read.delete(digest);
  }
}

function nameOf(digest: string): string {
  return `policy/spec/${digest}`;
}
