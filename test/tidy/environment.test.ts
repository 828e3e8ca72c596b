import { expect, test } from 'vitest';
import { type AstNode, isNode, nameOf, productionSources, type Source, walk } from './source.ts';

test('only config.ts reads the environment', () => {
  const wrong = productionSources()
    .filter(({ path }) => path !== 'config.ts')
    .flatMap(readsOfEnvironment);
  expect(wrong).toEqual([]);
});

function readsOfEnvironment(source: Source): string[] {
  const wrong: string[] = [];
  const add = (node: AstNode) => wrong.push(`${source.path}:${source.lineOf(node.start)}`);
  walk(source.tree, (node) => {
    if (
      node.type === 'MemberExpression' &&
      nameOf(node.object) === 'process' &&
      nameOf(node.property) === 'env'
    )
      add(node);
    if (node.type === 'ImportDeclaration' && nameOf(node.source) === 'node:process' && takes(node, 'env'))
      add(node);
  });
  return wrong;
}

function takes(declaration: AstNode, name: string): boolean {
  const { specifiers } = declaration;
  return Array.isArray(specifiers) && specifiers.filter(isNode).some((one) => nameOf(one.imported) === name);
}
