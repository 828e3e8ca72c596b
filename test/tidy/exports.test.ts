import { expect, test } from 'vitest';
import { type Export, exportsOf, usesAtHome } from './exports-of.ts';
import { importsOf } from './imports-of.ts';
import { isTest, productionSources, type Source, sources } from './source.ts';

/** Files that something else than an import runs. */
const ENTRANCES = /^(main|setup|config)\.ts$|^bench\/|^web\/(src\/)?main\.tsx?$|\.config\.ts$/;

const users = usersOfExports();

test('everything exported is imported somewhere, or is a type that its own file speaks in', () => {
  const dead = productionSources()
    .filter(({ path }) => !ENTRANCES.test(path))
    .flatMap(deadExports);
  expect(dead).toEqual([]);
});

test('nothing is there for tests alone', () => {
  const testOnly = productionSources().flatMap((source) =>
    exportsOf(source).filter((one) => {
      const from = usersOf(one);
      return from.length > 0 && from.every(isTest) && !usesAtHome(source, one.name);
    }),
  );
  expect(testOnly.map(text)).toEqual([]);
});

test('the files that tests share export nothing that no test imports', () => {
  const dead = sources()
    .filter(({ path }) => path.startsWith('test/'))
    .flatMap(deadExports);
  expect(dead).toEqual([]);
});

function deadExports(source: Source): string[] {
  return exportsOf(source)
    .filter((one) => usersOf(one).length === 0 && !(one.isType && usesAtHome(source, one.name)))
    .map(text);
}

/** By file and name, the files that import it; by file and `*`, those that take all of it. */
function usersOfExports(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { from, target, names } of sources().flatMap(importsOf))
    for (const name of names) {
      const key = `${target}#${name}`;
      found.set(key, [...(found.get(key) ?? []), from]);
    }
  return found;
}

function usersOf({ path, name }: Export): string[] {
  return [...(users.get(`${path}#${name}`) ?? []), ...(users.get(`${path}#*`) ?? [])];
}

function text({ path, line, name }: Export): string {
  return `${path}:${line} ${name}`;
}
