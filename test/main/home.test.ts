import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openEnvelope, signBody } from '../../core/policy/sign.ts';
import { openHome } from '../../main/home.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-home-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('keeps the keys of policy for their owner alone, the same ones for ever, and adds what is asked for', () => {
  const [first] = openHome(dir).policyKeys.keys(1);
  expect(statSync(join(dir, 'policy.key')).mode & 0o777).toBe(0o600);
  const again = openHome(dir).policyKeys;
  expect(again.keys(0)).toMatchObject([{ id: first?.id, publicKey: first?.publicKey }]);
  const three = again.keys(3);
  expect(three[0]).toMatchObject({ id: first?.id, publicKey: first?.publicKey });
  expect(new Set(three.map(({ publicKey }) => publicKey)).size).toBe(3);
  expect(
    openHome(dir)
      .policyKeys.keys(1)
      .map(({ id }) => id),
  ).toEqual(three.map(({ id }) => id));
});

it('signs with them what their public halves open', () => {
  const [key] = openHome(dir).policyKeys.keys(1);
  if (key === undefined) throw new Error('no key');
  const version = { epoch: 1, n: 1 };
  const body = { type: 'site', tenant: 'default', site: 'a', labels: {}, version } as const;
  expect(openEnvelope(signBody(body, key), [key])).toEqual({ ok: true, body });
});

it('uses no damaged key, and replaces none', () => {
  openHome(dir).policyKeys.keys(1);
  const path = join(dir, 'policy.key');
  const half = readFileSync(path, 'utf8').slice(0, 40);
  writeFileSync(path, half);
  expect(() => openHome(dir)).toThrow(/restore it from a backup/);
  expect(readFileSync(path, 'utf8')).toBe(half);
});
