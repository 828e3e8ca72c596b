import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type AstNode, isNode, nameOf, ROOT, type Source, walk } from './source.ts';

/** One module that a file names, and what it takes of it: names, or '*' for all. */
export type Import = { from: string; target: string; names: readonly string[]; line: number };

/** Static imports, re-exports, `import()` and `new URL('./x', import.meta.url)`; `target` is a path when it is a file of ours. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const add = (specifier: string | null, names: readonly string[], node: AstNode) => {
    if (specifier === null) return;
    found.push({
      from: source.path,
      target: resolve(source.path, specifier),
      names,
      line: source.lineOf(node.start),
    });
  };
  walk(source.tree, (node) => {
    switch (node.type) {
      case 'ImportDeclaration':
        add(nameOf(node.source), namesIn(node.specifiers, 'imported'), node);
        break;
      case 'ExportNamedDeclaration':
        if (node.source !== null) add(nameOf(node.source), namesIn(node.specifiers, 'local'), node);
        break;
      case 'ExportAllDeclaration':
        add(nameOf(node.source), ['*'], node);
        break;
      case 'ImportExpression':
        add(nameOf(node.source), ['*'], node);
        break;
      case 'TSImportType':
        add(nameOf(node.source) ?? nameOf(node.argument), ['*'], node);
        break;
      case 'NewExpression':
        if (nameOf(node.callee) === 'URL' && Array.isArray(node.arguments)) {
          const specifier = nameOf(node.arguments[0]);
          if (specifier !== null && /^\.{1,2}\/.*\.[jt]sx?$/.test(specifier)) add(specifier, ['*'], node);
        }
        break;
    }
  });
  return found;
}

function namesIn(specifiers: unknown, field: 'imported' | 'local'): string[] {
  if (!Array.isArray(specifiers)) return [];
  return specifiers.filter(isNode).map((specifier) => {
    if (specifier.type === 'ImportDefaultSpecifier') return 'default';
    if (specifier.type === 'ImportNamespaceSpecifier') return '*';
    return nameOf(specifier[field]) ?? '*';
  });
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const path = normalize(join(dirname(from), specifier)).replaceAll('\\', '/');
  return [path, `${path}.ts`, `${path}.tsx`].find((one) => existsSync(join(ROOT, one))) ?? path;
}
