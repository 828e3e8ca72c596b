import {
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';

const MAC_BYTES = 32;
const REPORT_CONTEXT = Buffer.from('plumbline/report/v1\0');
const CHANNEL_CONTEXT = 'plumbline/channel/v1\0';
const ECHO_CONTEXT = 'plumbline/echo/v1\0';

/** The 32 bytes a site's key is made of: HKDF-SHA256 (RFC 5869) of the hub's master key, the site and its key epoch. */
export function deriveSiteKey(master: KeyObject, site: string, epoch: number): Buffer {
  return Buffer.from(hkdfSync('sha256', master, 'plumbline', `site-key/v1\0${site}\0${epoch}`, 32));
}

/** A KeyObject, because an HMAC with one costs a third of an HMAC with raw bytes. */
export function keyFrom(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes);
}

/** What travels and is stored of a report: HMAC-SHA256 over a context string and the raw JSON bytes, then those bytes. */
export function seal(key: KeyObject, json: Uint8Array): Buffer {
  return Buffer.concat([mac(key, json), json]);
}

/** The two parts of a sealed report, or null when it is too short to have both. */
export function splitSealed(sealed: Uint8Array): { mac: Uint8Array; json: Uint8Array } | null {
  if (sealed.byteLength <= MAC_BYTES) return null;
  return { mac: sealed.subarray(0, MAC_BYTES), json: sealed.subarray(MAC_BYTES) };
}

export function sealIsValid(key: KeyObject, parts: { mac: Uint8Array; json: Uint8Array }): boolean {
  return timingSafeEqual(mac(key, parts.json), parts.mac);
}

function mac(key: KeyObject, json: Uint8Array): Buffer {
  return createHmac('sha256', key).update(REPORT_CONTEXT).update(json).digest();
}

/** A site's answer to its gateway's challenge; over a fresh nonce, so that no clock has to be right. */
export function channelProof(key: KeyObject, site: string, nonce: string): string {
  return createHmac('sha256', key).update(`${CHANNEL_CONTEXT}${site}\0${nonce}`).digest('base64url');
}

/** The hub's answer to a nonce of a site that asks whether it can still be reached: only who has the site's key can give it. */
export function echoProof(key: KeyObject, site: string, nonce: string): string {
  return createHmac('sha256', key).update(`${ECHO_CONTEXT}${site}\0${nonce}`).digest('base64url');
}

/** Compares two short texts without telling by its time where they differ. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

export function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
