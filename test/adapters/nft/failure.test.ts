import { expect, test } from 'vitest';
import { createNftEnforcer } from '../../../adapters/nft/enforcer.ts';
import { exitFailure, lateFailure, raised, spawnFailure } from '../../../adapters/nft/failure.ts';
import { createRun } from '../../../adapters/nft/run.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import { silentLogger } from '../../contract/silent-logger.ts';

test.each([
  ['Error: Could not process rule: Operation not permitted', 'not-permitted', false],
  [
    'Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted',
    'not-permitted',
    false,
  ],
  ['internal:0:0-0: Error: Could not process rule: No such file or directory', 'rejected', true],
  ['internal:0:0-0: Error: Could not process rule: File exists', 'rejected', true],
  ['Error: Could not process rule: Protocol not supported', 'unsupported', false],
  [
    'netlink: Error: Unable to initialize Netlink socket: Address family not supported by protocol',
    'unsupported',
    false,
  ],
  ['Error: Could not process rule: Operation not supported', 'unsupported', false],
  ['Error: Could not process rule: Device or resource busy', 'busy', false],
  ['internal:0:0-0: Error: Invalid set flag at index 1.', 'rejected', false],
  ['', 'rejected', false],
])('"%s" is %s', (stderr, code, stale) => {
  expect(exitFailure(stderr)).toMatchObject({ ok: false, code, stale });
});

test('a failure says what happened and what to do, in one line of bounded length', () => {
  const { detail } = raised(exitFailure(`\n${'x'.repeat(500)}\nsecond line`));
  expect(detail).toMatch(/^x{160}; the rules in force are as they were$/);
  expect(raised(lateFailure(10_000)).detail).toBe('nft did not end within 10000 ms; it is tried again');
  expect(raised(exitFailure('Operation not permitted')).detail).toContain('CAP_NET_ADMIN');
});

test('a program that is not there is unsupported, one that may not be run is not permitted', async () => {
  expect(await createRun(['/nonexistent/nft'])([])).toMatchObject({ ok: false, code: 'unsupported' });
  const failure = (code: string) => spawnFailure(Object.assign(new Error('spawn'), { code }));
  expect(failure('EACCES')).toMatchObject({ code: 'not-permitted' });
  expect(failure('EAGAIN')).toMatchObject({ code: 'busy' });
});

test('what is given arrives whole, and nothing of the environment of this process does', async () => {
  const text = 'x'.repeat(300_000);
  expect(await createRun(['cat', '/dev/stdin'])([], text)).toEqual({ ok: true, stdout: text });
  const result = await createRun(['env'])([]);
  expect(
    result.ok &&
      result.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0])
        .sort(),
  ).toEqual(['LC_ALL', 'PATH']);
});

test('nft that gives no listing, or falls over, is rejected in words', async () => {
  const enforcer = (...run: [string, ...string[]]) =>
    createNftEnforcer({ run, clock: systemClock, logger: silentLogger });
  await expect(enforcer('echo').observe()).rejects.toMatchObject({
    code: 'rejected',
    detail: expect.stringContaining("a listing that can't be read"),
  });
  await expect(enforcer('sh', '-c', 'kill -SEGV $$').observe()).rejects.toMatchObject({
    code: 'rejected',
    detail: expect.stringContaining('nft was ended by SIGSEGV'),
  });
});
