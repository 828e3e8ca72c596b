import { createPublicKey, type KeyObject, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { readJson } from '../json.ts';
import { type Envelope, type KeysBody, SignedBody, TENANT } from '../model/signed.ts';
import { digestOf } from './digest.ts';

/** So that a signature made for something else never passes for one of these. */
const CONTEXT = 'plumbline/policy/v1\0';
const validator = Compile(SignedBody);

export type SigningKey = { id: string; privateKey: KeyObject };
/** The hub's private keys, oldest first, with their public halves. Makes what is missing of `atLeast`, durably, before it returns. */
export type Keyring = { keys(atLeast: number): readonly (SigningKey & { publicKey: string })[] };
export type TrustedKeys = KeysBody['keys'];
export type Opened<B extends SignedBody = SignedBody> =
  | { ok: true; body: B }
  | { ok: false; code: Mistrust; detail: string };
type Mistrust = 'unknown-key' | 'bad-signature' | 'malformed' | 'other-tenant' | 'digest-mismatch';

/** Ed25519 (RFC 8032) over the context string and the payload's bytes, which begin with the type. */
export function signBody(body: SignedBody, key: SigningKey): Envelope {
  const payload = JSON.stringify(Object.assign({ type: body.type }, body));
  const signature = signBytes(null, Buffer.from(CONTEXT + payload), key.privateKey).toString('base64url');
  return { keyId: key.id, signature, payload };
}

/** What a document says that it is, by its first bytes: good for putting documents in order, and for nothing else. */
export function claimedType({ payload }: Envelope): string {
  return /^\{"type":"([a-z]+)"/.exec(payload)?.[1] ?? '';
}

/** Believes nothing before the signature holds; a specification, not before its digest is that of its content. */
export function openEnvelope(envelope: Envelope, trusted: TrustedKeys): Opened {
  const key = trusted.find(({ id }) => id === envelope.keyId);
  if (key === undefined)
    return {
      ok: false,
      code: 'unknown-key',
      detail: `the document is signed with key ${envelope.keyId}, which this site does not trust`,
    };
  const signed = Buffer.from(CONTEXT + envelope.payload);
  if (!verifyBytes(null, signed, publicKeyOf(key.publicKey), Buffer.from(envelope.signature, 'base64url')))
    return {
      ok: false,
      code: 'bad-signature',
      detail: `the signature with key ${envelope.keyId} does not fit the document`,
    };
  const body = readJson(envelope.payload);
  if (!validator.Check(body)) {
    const [error] = validator.Errors(body);
    return {
      ok: false,
      code: 'malformed',
      detail: `the signed document is not valid at ${error?.instancePath || '/'}: ${error?.message ?? 'unknown'}`,
    };
  }
  if (body.tenant !== TENANT)
    return { ok: false, code: 'other-tenant', detail: `the document is of tenant ${body.tenant}` };
  if (body.type === 'spec' && digestOf(body.spec) !== body.digest)
    return { ok: false, code: 'digest-mismatch', detail: 'the digest is not that of the content' };
  return { ok: true, body };
}

/** Keys that were read, by their text: a key is used again and again, and reading it costs as much as a third of a check. */
const keysRead = new Map<string, KeyObject>();
const MOST_KEYS_READ = 32;

/** From its 32 bytes as base64url. */
function publicKeyOf(x: string): KeyObject {
  const known = keysRead.get(x);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const [oldest] = keysRead.keys();
  if (keysRead.size >= MOST_KEYS_READ && oldest !== undefined) keysRead.delete(oldest);
  keysRead.set(x, key);
  return key;
}
