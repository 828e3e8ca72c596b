import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type AstNode, filesBelow, nameOf, ROOT, type Source, sources, walk } from './source.ts';

/**
 * What has no place in what others read: paths of the machine it was written on, hosts that packages came from, marks of
 * unfinished work, and who or what wrote it. Put together from pieces, so that this file is no find of its own.
 */
const FORBIDDEN: [what: string, pattern: RegExp][] = [
  [
    'a path of the machine it was written on',
    word('(^|[\\s"\'`(=])/(work|home/(?!you/)[a-z]+|Users/[A-Za-z]+|root)/'),
  ],
  ['a temporary folder of somebody', word('bash', '_jobs')],
  [
    'a host that packages came from',
    word('\\b(registry|proxy|mirror|artifactory|nexus)[.-][a-z0-9.-]+\\.(org|com|net|io|local|internal)\\b'),
  ],
  ['a mark of unfinished work', word('\\b(TO', 'DO|FIX', 'ME|XX', 'X|HA', 'CK)\\b')],
  [
    'who or what wrote it',
    word(
      '\\b(cla',
      'ude|chat',
      'gpt|co',
      'pilot|anth',
      'ropic|open',
      'ai|lang',
      'uage model|gener',
      'ated (by|with) an? ',
      'ai)\\b',
      'i',
    ),
  ],
];

const READ = /\.(ts|tsx|js|json|md|ya?ml|css|html|sh|sql|xml|conf|toml)$|^plumbline$|^\.ci\/run$|Dockerfile/;

test('nothing names the machine it was written on, its makers, or work that is left open', () => {
  expect(
    filesBelow()
      .filter((path) => READ.test(path))
      .flatMap(findings),
  ).toEqual([]);
});

test('no test is switched off, or runs alone', () => {
  expect(
    sources()
      .filter(({ path }) => path.startsWith('test/'))
      .flatMap(switchedOff),
  ).toEqual([]);
});

/** Pieces of a pattern, and its flags when the last one is made of flags only. */
function word(...pieces: string[]): RegExp {
  const flags = pieces.length > 1 && pieces.at(-1) === 'i' ? 'i' : '';
  return new RegExp((flags === '' ? pieces : pieces.slice(0, -1)).join(''), flags);
}

function findings(path: string): string[] {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  return lines.flatMap((line, i) =>
    FORBIDDEN.filter(([, pattern]) => pattern.test(line)).map(([what]) => `${path}:${i + 1} names ${what}`),
  );
}

/** `test.skip`, `.only`, `.todo`; `skipIf` says its reason by its condition, and CI counts it as a failure. */
function switchedOff(source: Source): string[] {
  const found: string[] = [];
  walk(source.tree, (node: AstNode) => {
    const isTest = ['test', 'it', 'describe', 'suite'].includes(nameOf(node.object) ?? '');
    const property = nameOf(node.property) ?? '';
    if (node.type === 'MemberExpression' && isTest && ['skip', 'only', 'todo', 'fails'].includes(property))
      found.push(`${source.path}:${source.lineOf(node.start)} ${property}`);
  });
  return found;
}
