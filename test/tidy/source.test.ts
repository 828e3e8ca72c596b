import { expect, test } from 'vitest';
import { exportsOf, usesAtHome } from './exports-of.ts';
import { importsOf } from './imports-of.ts';
import { parseSource } from './source.ts';

/* The rules are as good as what they see: these say what that is. */

test('every way to name another file is seen as an import', () => {
  const source = parseSource(
    'cli/sample.ts',
    `import { a, type B as C } from './exit.ts';
     import * as all from '../core/problem.ts';
     export { d } from './table.ts';
     export * from './get.ts';
     const later = await import('./top.ts');
     const worker = new URL('./watch.ts', import.meta.url);
     type T = import('./sign.ts').Paint;`,
  );
  expect(importsOf(source).map(({ target, names }) => `${target} ${names.join()}`)).toEqual([
    'cli/exit.ts a,B',
    'core/problem.ts *',
    'cli/table.ts d',
    'cli/get.ts *',
    'cli/top.ts *',
    'cli/watch.ts *',
    'cli/sign.ts *',
  ]);
});

test('every way to export a name is seen, and a schema with its type is one', () => {
  const source = parseSource(
    'cli/sample.ts',
    `export const A = 1, { b, c: d } = pair;
     export type A = Static<typeof A>;
     export function e() {}
     export class F {}
     const g = 1;
     export { g as h };
     export interface I {}
     export default e;`,
  );
  expect(exportsOf(source).map(({ name, isType }) => (isType ? `type ${name}` : name))).toEqual([
    'type A',
    'b',
    'd',
    'e',
    'F',
    'h',
    'type I',
    'default',
  ]);
});

test('a name is used at home when something besides its declaration names it', () => {
  const source = parseSource(
    'cli/sample.ts',
    `export const A = Type.Object({});
     export type A = Static<typeof A>;
     export type B = { a: string };
     export function c(b: B) {}`,
  );
  expect(['A', 'B', 'c'].map((name) => usesAtHome(source, name))).toEqual([false, true, false]);
});
