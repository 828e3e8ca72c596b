import { expect, test } from 'vitest';
import { filesBelow } from './source.ts';

const BANNED = /(^|[/.-])(utils?|helpers?|types?|managers?|commons?|misc|shared)([/.-]|$)/i;

test('no file or folder is named for nothing in particular', () => {
  const wrong = filesBelow().filter((path) => BANNED.test(path) && !path.startsWith('.'));
  expect(wrong).toEqual([]);
});

test('file names are lower case words with hyphens', () => {
  const wrong = filesBelow().filter((path) => /\.tsx?$/.test(path) && !/^[a-z0-9./-]+$/.test(path));
  expect(wrong).toEqual([]);
});
