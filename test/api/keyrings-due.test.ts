import { expect, test } from 'vitest';
import { Documents } from '../../api/gateway/documents.ts';
import { KEYS_KEY, type KeysBody, keysKey } from '../../core/model/signed.ts';
import { signBody } from '../../core/policy/sign.ts';
import type { TableView } from '../../core/ports/table.ts';
import { testKeyring } from '../parts/keyring.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function view(entries: [string, Uint8Array][]): TableView {
  return {
    get: (key) => entries.find(([one]) => one === key)?.[1],
    entries: () => new Map(entries).entries(),
    onChange: () => () => undefined,
    size: entries.length,
    close: async () => undefined,
  };
}

/** A hub with two keys, the first of them revoked, that was restored: the second keyring in the second epoch. */
function restored(): Documents {
  const [first, second] = testKeyring().keys(2);
  if (first === undefined || second === undefined) throw new Error('no keys');
  const keys = [{ id: second.id, publicKey: second.publicKey }];
  const body: KeysBody = { type: 'keys', tenant: 'default', version: { epoch: 2, n: 2 }, keys };
  const signed = (by: typeof first) => Buffer.from(JSON.stringify(signBody(body, by)));
  const targets = view([
    [KEYS_KEY, signed(second)],
    [keysKey(2), signed(first)],
  ]);
  return new Documents({ specs: view([]), targets }, quiet);
}

test.each([
  ['that has the newest key is not sent what a revoked one says', 2, [KEYS_KEY]],
  ['that missed it is led to it by the one before', 1, [keysKey(2), KEYS_KEY]],
])('after a restore, a site %s', (_, n, expected) => {
  const versions = new Map([[KEYS_KEY, { epoch: 1, n }]]);
  const { documents } = restored().due('site', { versions, specs: new Set(), told: new Set() }, 'all');
  expect(documents.map(({ key }) => key)).toEqual(expected);
});
