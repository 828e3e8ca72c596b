import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { Keyring } from '../core/policy/sign.ts';
import { sha256 } from '../core/seal.ts';

const FORM = /^([\w-]{43})\.([\w-]{43})$/;

/** An Ed25519 key as one line: its public and its private 32 bytes (RFC 8037, `x` and `d`), base64url. */
export function makeKeyLine(): string {
  const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return `${x}.${d}`;
}

/** Null when it is not such a line. The id says which key it is and nothing of it. */
export function readKeyLine(line: string): ReturnType<Keyring['keys']>[number] | null {
  const [, x, d] = FORM.exec(line) ?? [];
  if (x === undefined || d === undefined) return null;
  try {
    const privateKey = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' });
    return { id: sha256(x).toString('hex').slice(0, 16), privateKey, publicKey: x };
  } catch {
    return null;
  }
}
