import { expect, test } from 'vitest';
import { importsOf } from './imports-of.ts';
import { type AstNode, isNode, nameOf, type Source, sources, walk } from './source.ts';

/** Ports that have several adapters: each adapter proves itself with the suite in test/contract/ that the port's file names. */
const PORTS: Record<string, RegExp> = {
  Log: /^test\/contract\/log[./-]/,
  Table: /^test\/contract\/table[./-]/,
  Store: /^test\/contract\/store[./-]/,
};

const suites = sources().filter(
  ({ path }) => path.startsWith('test/contract/') && !path.endsWith('.test.ts'),
);

test.each(Object.entries(PORTS))('the port %s has a contract suite', (_port, suite) => {
  expect(suites.filter(({ path }) => suite.test(path)).map(({ path }) => path)).not.toEqual([]);
});

test('every adapter of a port runs its contract suite', () => {
  const reached = sources()
    .filter(({ path }) => path.endsWith('.test.ts'))
    .map(({ path }) => reachableFrom(path));
  const unproven = sources()
    .filter(({ path }) => path.startsWith('adapters/'))
    .flatMap((source) => portsOpenedBy(source).map((port) => ({ path: source.path, port })))
    .filter(
      ({ path, port }) =>
        !reached.some((files) => files.has(path) && [...files].some((file) => PORTS[port]?.test(file))),
    )
    .map(({ path, port }) => `${path} makes a ${port}, and no test runs the contract suite of ${port} on it`);
  expect(unproven).toEqual([]);
});

test('the doors to Log, Table and Store are seen', () => {
  const found = sources()
    .filter(({ path }) => path.startsWith('adapters/'))
    .flatMap((source) => portsOpenedBy(source).map((port) => `${source.path} ${port}`));
  expect(found).toEqual(
    expect.arrayContaining(['adapters/sqlite/open.ts Log', 'adapters/clickhouse/open.ts Store']),
  );
});

/** Ports that the `open…` functions of a file name in what they give back. */
function portsOpenedBy(source: Source): string[] {
  const ports = new Set<string>();
  for (const declaration of exportedFunctions(source.tree)) {
    if (!/^open[A-Z]/.test(nameOf(declaration.id) ?? '') || !isNode(declaration.returnType)) continue;
    walk(declaration.returnType, (node) => {
      const name = node.type === 'TSTypeReference' ? nameOf(node.typeName) : null;
      if (name !== null && Object.hasOwn(PORTS, name)) ports.add(name);
    });
  }
  return [...ports];
}

function exportedFunctions(tree: AstNode): AstNode[] {
  const found: AstNode[] = [];
  walk(tree, (node) => {
    if (node.type !== 'ExportNamedDeclaration' || !isNode(node.declaration)) return;
    if (node.declaration.type === 'FunctionDeclaration') found.push(node.declaration);
  });
  return found;
}

/** A test file, and of what it imports the test files and the adapters that these import. */
function reachableFrom(path: string): Set<string> {
  const found = new Set<string>();
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    const source = sources().find((one) => one.path === next);
    if (source === undefined || !next.startsWith('test/')) continue;
    waiting.push(...importsOf(source).map(({ target }) => target));
  }
  return found;
}
