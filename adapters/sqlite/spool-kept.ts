import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { sha256 } from '../../core/seal.ts';

const KeptTexts = Compile(
  Type.Object({ v: Type.Literal(1), texts: Type.Record(Type.String(), Type.String()) }),
);

/**
 * Texts by name, apart from the reports: a site whose reports are damaged must not lose its key, since only a person can
 * join it again, nor the policy that it enforces. Small ones are together in one file of mode 0600; one whose name has a
 * slash is a file of its own, so that a large one costs the others nothing. Files are replaced whole by a rename, so that
 * a kill leaves the old or the new one.
 */
export type Kept = { get(name: string): string | null; set(name: string, text: string | null): void };

export function openKept(path: string, onDamaged: (movedTo: string) => void): Kept {
  const small = openSmall(path, onDamaged);
  const large = openLarge(path.replace(/\.json$/, ''));
  return {
    get: (name) => (name.includes('/') ? large : small).get(name),
    set: (name, text) => (name.includes('/') ? large : small).set(name, text),
  };
}

function openSmall(path: string, onDamaged: (movedTo: string) => void): Kept {
  const texts = new Map<string, string>();
  if (existsSync(path)) {
    const parsed = parse(readFileSync(path, 'utf8'));
    if (parsed === null) {
      const aside = `${path}.damaged`;
      renameSync(path, aside);
      onDamaged(aside);
    } else for (const [name, text] of Object.entries(parsed)) texts.set(name, text);
  }
  return {
    get: (name) => texts.get(name) ?? null,
    set: (name, text) => {
      if ((texts.get(name) ?? null) === text) return;
      const next = new Map(texts);
      if (text === null) next.delete(name);
      else next.set(name, text);
      replaceFile(path, JSON.stringify({ v: 1, texts: Object.fromEntries(next) }));
      if (text === null) texts.delete(name);
      else texts.set(name, text);
    },
  };
}

/** Read when asked for, and kept nowhere else. File names are hashes: a name is never trusted to be fit for one. */
function openLarge(dir: string): Kept {
  const fileOf = (name: string) => join(dir, sha256(name).toString('hex').slice(0, 40));
  return {
    get(name) {
      const path = fileOf(name);
      return existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
    set(name, text) {
      if (text === null) rmSync(fileOf(name), { force: true });
      else {
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        replaceFile(fileOf(name), text);
      }
    },
  };
}

function parse(json: string): Record<string, string> | null {
  try {
    const value: unknown = JSON.parse(json);
    return KeptTexts.Check(value) ? value.texts : null;
  } catch {
    return null;
  }
}

function replaceFile(path: string, content: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
