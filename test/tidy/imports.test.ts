import { expect, test } from 'vitest';
import { importsOf } from './imports-of.ts';
import { isTest, sources } from './source.ts';

/** The rooms of the house. What stands beside them is `core`, `adapters`, and what wires everything: main.ts and main/. */
const ROOMS = ['collectors', 'aggregator', 'policy', 'api', 'web', 'cli', 'simulator', 'demo'];

/** Which places a file of a place may import from, besides packages. */
function allowedFrom(place: string): readonly string[] | null {
  if (place === 'core') return ['core'];
  if (place === 'adapters') return ['core', 'adapters'];
  if (ROOMS.includes(place)) return ['core', place];
  return null;
}

function placeOf(path: string): string {
  const [first = ''] = path.split('/');
  return path.includes('/') ? first : `./${path}`;
}

test('imports point one way: main to rooms to core, adapters to core, no room to another', () => {
  const wrong = sources()
    .filter(({ path }) => !isTest(path))
    .flatMap(importsOf)
    .filter(({ from, target }) => {
      const allowed = allowedFrom(placeOf(from));
      const isOurs = target.includes('/')
        ? [...ROOMS, 'core', 'adapters', 'main', 'test', 'bench'].includes(placeOf(target))
        : /\.tsx?$/.test(target);
      return allowed !== null && isOurs && !allowed.includes(placeOf(target));
    })
    .map(({ from, line, target }) => `${from}:${line} imports ${target}`);
  expect(wrong).toEqual([]);
});

test('an adapter imports no other adapter', () => {
  const folderOf = (path: string) => path.split('/').slice(0, 2).join('/');
  const wrong = sources()
    .filter(({ path }) => path.startsWith('adapters/'))
    .flatMap(importsOf)
    .filter(({ from, target }) => target.startsWith('adapters/') && folderOf(from) !== folderOf(target))
    .map(({ from, line, target }) => `${from}:${line} imports ${target}`);
  expect(wrong).toEqual([]);
});

test('core does no I/O: of Node it takes only what computes', () => {
  const computing = ['node:crypto', 'node:util', 'node:net', 'node:buffer'];
  const wrong = sources()
    .filter(({ path }) => path.startsWith('core/'))
    .flatMap(importsOf)
    .filter(({ target }) => target.startsWith('node:') && !computing.includes(target))
    .map(({ from, line, target }) => `${from}:${line} imports ${target}`);
  expect(wrong).toEqual([]);
});
