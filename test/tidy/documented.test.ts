import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { QUARANTINE_REASONS } from '../../aggregator/step.ts';
import { EVENT_KINDS } from '../../core/model/event.ts';
import { REASONS } from '../../core/policy/verification/reasons.ts';
import { PROBLEMS } from '../../core/problem.ts';
import { ROOT } from './source.ts';

/** The first column of every table of a page, where a row begins with `code`. */
function documented(page: string): string[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '').sort();
}

test('every error code is documented in docs/errors.md, and no other', () => {
  expect(documented('errors.md')).toEqual(Object.keys(PROBLEMS).sort());
});

test('docs/errors.md gives each error the status it has', () => {
  const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map((match) => [match[1], Number(match[2])]);
  expect(Object.fromEntries(rows)).toEqual(
    Object.fromEntries(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status])),
  );
});

test('every kind of event is documented in docs/events.md, and no other', () => {
  expect(documented('events.md')).toEqual([...EVENT_KINDS].sort());
});

test('every reason for quarantine is documented in docs/events.md, and no other', () => {
  const text = readFileSync(join(ROOT, 'docs/events.md'), 'utf8');
  const listed = [...text.matchAll(/^- `([^`]+)`:/gm)].map((match) => match[1]);
  expect(listed).toEqual([...QUARANTINE_REASONS]);
});

test('every reason of a verdict is documented in docs/verification.md with the verdict it makes, and no other', () => {
  const text = readFileSync(join(ROOT, 'docs/verification.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([^`]+)` \| ([a-z-]+) \|/gm)].map((match) => [match[1], match[2]]);
  expect(Object.fromEntries(rows)).toEqual(REASONS);
});
