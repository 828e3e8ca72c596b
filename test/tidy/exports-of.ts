import { type AstNode, isNode, nameOf, type Source, walk } from './source.ts';

/** `isType` when the name is a type's, be it beside a schema of the same name. */
export type Export = { path: string; name: string; line: number; isType: boolean };

/** What a file exports by name; a constant and a type of one name are one export. */
export function exportsOf(source: Source): Export[] {
  const found = new Map<string, Export>();
  const add = (name: string | null, node: AstNode) => {
    if (name === null) return;
    const isType = /^TS(TypeAlias|Interface)Declaration$/.test(node.type);
    const known = found.get(name);
    if (known !== undefined) known.isType ||= isType;
    else found.set(name, { path: source.path, name, line: source.lineOf(node.start), isType });
  };
  walk(source.tree, (node) => {
    if (node.type === 'ExportDefaultDeclaration') add('default', node);
    if (node.type !== 'ExportNamedDeclaration' || isNode(node.source)) return;
    const { declaration, specifiers } = node;
    if (Array.isArray(specifiers))
      for (const specifier of specifiers.filter(isNode)) add(nameOf(specifier.exported), specifier);
    if (!isNode(declaration)) return;
    if (declaration.type !== 'VariableDeclaration') add(nameOf(declaration.id), declaration);
    else if (Array.isArray(declaration.declarations))
      for (const declarator of declaration.declarations.filter(isNode))
        for (const name of boundNames(declarator.id)) add(name, declarator);
  });
  return [...found.values()];
}

/** Whether a file uses a name beyond declaring it; `type Name = Static<typeof Name>` is all declaration. */
export function usesAtHome(source: Source, name: string): boolean {
  let isUsed = false;
  walk(source.tree, (node, parents) => {
    const isName = (node.type === 'Identifier' || node.type === 'JSXIdentifier') && node.name === name;
    const [parent] = parents;
    if (!isName || parent?.id === node || parent?.type === 'ExportSpecifier') return;
    const isOwnType = parents.some(
      ({ type, id }) => type === 'TSTypeAliasDeclaration' && nameOf(id) === name,
    );
    if (!isOwnType) isUsed = true;
  });
  return isUsed;
}

function boundNames(pattern: unknown): string[] {
  if (!isNode(pattern)) return [];
  const names: string[] = [];
  if (pattern.type === 'Identifier') names.push(nameOf(pattern) ?? '');
  else
    walk(pattern, (node) => {
      if (node.type === 'Property' && isNode(node.value)) names.push(nameOf(node.value) ?? '');
    });
  return names.filter((name) => name !== '');
}
