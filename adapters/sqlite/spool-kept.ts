import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

const KeptTexts = Compile(
  Type.Object({ v: Type.Literal(1), texts: Type.Record(Type.String(), Type.String()) }),
);

/**
 * Texts by name in one small file of mode 0600, apart from the reports: a site whose reports are damaged must not lose its
 * key, since only a person can join it again. Replaced whole by a rename, so that a kill leaves the old or the new one.
 */
export type Kept = { get(name: string): string | null; set(name: string, text: string): void };

export function openKept(path: string, onDamaged: (movedTo: string) => void): Kept {
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
      if (texts.get(name) === text) return;
      const next = new Map(texts).set(name, text);
      replaceFile(path, JSON.stringify({ v: 1, texts: Object.fromEntries(next) }));
      texts.set(name, text);
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
