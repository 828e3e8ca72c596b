import { expect, test } from 'vitest';
import { type AstNode, nameOf, type Source, sources, walk } from './source.ts';

/** Adapters, and tests that stand where one would, may tell the compiler what comes from outside, on a line that says why. */
const MARK = /\/\/ cast: \S+/;

test('nothing is cast, but for marked lines in adapters and tests', () => {
  expect(sources().flatMap(castsIn)).toEqual([]);
});

test('no `any`, and no compiler directive that hides an error', () => {
  expect(sources().flatMap(escapesIn)).toEqual([]);
});

function castsIn(source: Source): string[] {
  const lines = source.text.split('\n');
  const wrong: string[] = [];
  walk(source.tree, (node) => {
    const isCast = node.type === 'TSAsExpression' || node.type === 'TSTypeAssertion';
    if (!isCast && node.type !== 'TSNonNullExpression') return;
    if (isConst(node.typeAnnotation)) return;
    const line = source.lineOf(node.end);
    const marked = MARK.test(lines[line - 1] ?? '') || MARK.test(lines[line - 2] ?? '');
    if (marked && /^(adapters|test)\//.test(source.path)) return;
    const text = source.text.slice(node.start, node.end).replace(/\s+/g, ' ').slice(-60);
    wrong.push(`${source.path}:${line} …${text}`);
  });
  return wrong;
}

function isConst(annotation: unknown): boolean {
  if (typeof annotation !== 'object' || annotation === null || !('typeName' in annotation)) return false;
  return nameOf(annotation.typeName) === 'const';
}

function escapesIn(source: Source): string[] {
  const wrong: string[] = [];
  walk(source.tree, (node: AstNode) => {
    if (node.type === 'TSAnyKeyword') wrong.push(`${source.path}:${source.lineOf(node.start)} any`);
  });
  for (const { value, start } of source.comments)
    if (/@ts-(ignore|nocheck|expect-error)/.test(value))
      wrong.push(`${source.path}:${source.lineOf(start)} ${value.trim().slice(0, 60)}`);
  return wrong;
}
