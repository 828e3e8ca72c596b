import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'vite';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A node of the syntax tree (ESTree with TypeScript's), as loosely as rules need it. */
export type AstNode = { type: string; start: number; end: number; [field: string]: unknown };

export type Source = {
  /** From the top of the repository, with slashes. */
  path: string;
  text: string;
  tree: AstNode;
  comments: readonly { value: string; start: number; end: number }[];
  lineOf(offset: number): number;
};

const SKIPPED = new Set(['node_modules', '.git', 'dist', 'data', 'coverage', '.output']);

/** Every file below the top that a person writes, by its path. */
export function filesBelow(dir = ROOT): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(dir, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [relative(ROOT, path)];
  });
}

let cache: Source[] | null = null;

/** Every TypeScript file, parsed. */
export function sources(): readonly Source[] {
  cache ??= filesBelow()
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
    .sort()
    .map(readSource);
  return cache;
}

/** What runs in production: not tests, not benchmarks. */
export function productionSources(): readonly Source[] {
  return sources().filter(({ path }) => !isTest(path) && !path.startsWith('bench/'));
}

export function isTest(path: string): boolean {
  return path.startsWith('test/') || /\.config\.ts$/.test(path);
}

function readSource(path: string): Source {
  return parseSource(path, readFileSync(join(ROOT, path), 'utf8'));
}

export function parseSource(path: string, text: string): Source {
  const { program, comments, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path} can't be parsed: ${error.message}`);
  const tree: unknown = program;
  if (!isNode(tree)) throw new Error(`${path} has no syntax tree`);
  const lineStarts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  const lineOf = (offset: number) => {
    const after = lineStarts.findIndex((start) => start > offset);
    return after < 0 ? lineStarts.length : after;
  };
  return { path, text, tree, comments, lineOf };
}

export function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** Visits a node and all below it, parents first. `parents` begins with the nearest. */
export function walk(
  node: AstNode,
  visit: (node: AstNode, parents: readonly AstNode[]) => void,
  parents: readonly AstNode[] = [],
): void {
  visit(node, parents);
  const below = [node, ...parents];
  for (const child of childrenOf(node)) walk(child, visit, below);
}

function childrenOf(node: AstNode): AstNode[] {
  return Object.values(node).flatMap((value) => {
    if (Array.isArray(value)) return value.filter(isNode);
    return isNode(value) ? [value] : [];
  });
}

/** The name an identifier or a string literal stands for; null for anything else. */
export function nameOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (typeof node.name === 'string') return node.name;
  return typeof node.value === 'string' ? node.value : null;
}
