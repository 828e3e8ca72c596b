import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../core/model/metadata.ts';
import type { Issuer } from '../../core/model/resource.ts';
import { KEYS_KEY, type KeysBody, keysKey, TENANT } from '../../core/model/signed.ts';
import { type Keyring, type SigningKey, signBody } from '../../core/policy/sign.ts';
import type { TableEntry } from '../../core/ports/table.ts';
import { stamp } from '../commands/outcome.ts';
import type { Published, PublishedDocuments } from './published.ts';

type Keys = ReturnType<Keyring['keys']>;

/** Keyrings of the past that are kept, for sites that missed some. */
const KEYRINGS_KEPT = 16;
const NAME = 'hub';

/** What the keys in the data directory make of the issuer; `lost` when those that sites trust are not among them. */
export type Issuing = { ok: true; issuer: Issuer; signer: SigningKey; keys: Keys } | { ok: false };

/**
 * The data directory follows the issuer, with as many keys as it asks for, and the issuer follows the data directory, in
 * which public keys are. A key that sites trust and that is not there can't be replaced by one that they don't.
 */
export function issuing(before: Issuer | null, keyring: Keyring, nowMs: number): Issuing {
  const had = keyring.keys(before === null ? 1 : 0);
  const isLost = before?.spec.keys.some(({ id }) => !had.some((key) => key.id === id)) ?? false;
  if (isLost) return { ok: false };
  const keys = keyring.keys(before?.spec.keysMade ?? 1);
  const signer = keys.at(-1);
  if (signer === undefined) throw new Error('the keyring gave no key');
  const keysKept = before?.spec.keysKept ?? 1;
  const spec: Issuer['spec'] = {
    ...before?.spec,
    epoch: before?.spec.epoch ?? 1,
    keys: keys.slice(-keysKept).map(({ id, publicKey }) => ({ id, publicKey })),
    keysMade: keys.length,
    keysKept,
    generationsAbove: before?.spec.generationsAbove ?? {},
  };
  if (before !== null && isDeepStrictEqual(before.spec, spec))
    return { ok: true, issuer: before, signer, keys };
  const metadata = stamp(NAME, { id: NAME, by: 'control', nowMs }, before?.metadata ?? null);
  return { ok: true, issuer: { apiVersion: API_VERSION, kind: 'Issuer', metadata, spec }, signer, keys };
}

/**
 * The keyring as sites get it. `default/Keys` is signed by the key that signs everything; `default/Keys/<n>` is the same by
 * the key before it, so that a site which trusts that one learns of its successor.
 */
export function keysEntries({ spec }: Issuer, keys: Keys, published: PublishedDocuments): TableEntry[] {
  const signer = keys.at(-1);
  const predecessor = keys.at(-2);
  const body: KeysBody = {
    type: 'keys',
    tenant: TENANT,
    version: { epoch: spec.epoch, n: spec.keysMade },
    keys: spec.keys,
  };
  const entries: TableEntry[] = [];
  const put = (key: string, by: SigningKey | undefined) => {
    if (by === undefined || isSame(published.get(key), body, by)) return;
    entries.push({ key, value: Buffer.from(JSON.stringify(signBody(body, by))) });
  };
  // The successor's introduction first: who has it believes the rest.
  const introduction = published.get(keysKey(spec.keysMade))?.body;
  const isIntroduced = introduction?.type === 'keys' && isDeepStrictEqual(introduction.keys, body.keys);
  if (!isIntroduced) put(keysKey(spec.keysMade), predecessor);
  put(KEYS_KEY, signer);
  const tooOld = keysKey(spec.keysMade - KEYRINGS_KEPT);
  if (published.get(tooOld) !== undefined) entries.push({ key: tooOld, value: null });
  return entries;
}

function isSame(published: Published | undefined, body: KeysBody, by: SigningKey): boolean {
  return published?.keyId === by.id && isDeepStrictEqual(published.body, body);
}
