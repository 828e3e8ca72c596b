import { expect, test } from 'vitest';
import { type AstNode, isNode, nameOf, type Source, sources, walk } from './source.ts';

const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
const FUNCTIONS = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];

test(`files have at most ${MAX_FILE_LINES} lines`, () => {
  const long = sources()
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_FILE_LINES)
    .map(({ path, lines }) => `${path} has ${lines} lines`);
  expect(long).toEqual([]);
});

test(`functions have at most ${MAX_FUNCTION_LINES} lines`, () => {
  expect(sources().flatMap(longFunctions)).toEqual([]);
});

function longFunctions(source: Source): string[] {
  const long: string[] = [];
  walk(source.tree, (node, parents) => {
    if (!FUNCTIONS.includes(node.type) || isSuite(parents[0]) || listsTests(node)) return;
    const from = source.lineOf(node.start);
    const lines = source.lineOf(node.end) - from + 1;
    if (lines > MAX_FUNCTION_LINES) long.push(`${source.path}:${from} has ${lines} lines`);
  });
  return long;
}

/** `describe('…', () => {…})` is a chapter of a file, not a function that somebody has to hold in mind. */
function isSuite(parent: AstNode | undefined): boolean {
  return parent?.type === 'CallExpression' && calleeOf(parent) === 'describe';
}

/** So is a function that a contract suite is made of: tests one below the other. */
function listsTests({ body }: AstNode): boolean {
  const statements = isNode(body) && Array.isArray(body.body) ? body.body.filter(isNode) : [];
  return statements.some(
    ({ type, expression }) =>
      type === 'ExpressionStatement' &&
      isNode(expression) &&
      expression.type === 'CallExpression' &&
      ['test', 'it', 'describe'].includes(calleeOf(expression) ?? ''),
  );
}

/** The name that a chain of calls begins with: `test` of `test.each(rows)('…')`. */
function calleeOf(call: AstNode): string | null {
  let callee: unknown = call.callee;
  while (isNode(callee) && (callee.object !== undefined || callee.callee !== undefined))
    callee = callee.object ?? callee.callee;
  return nameOf(callee);
}
