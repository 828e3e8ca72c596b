import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { pinOf } from './fingerprint.ts';
import { type Credential, issueAuthority, issueLeaf } from './issue.ts';

const DAY_MS = 86_400_000;
/** A certificate is issued anew when it has less than this left. */
const RENEW_BEFORE_MS = 30 * DAY_MS;

/** PEM. `cert` is what to serve: the leaf, then its CA. `pin` is of the CA's key (see fingerprint.ts). */
export type Authority = { key: string; cert: string; ca: string; pin: string };

/** A file that is there but can't be used. Never replaced silently, since every site has pinned the CA. */
export class AuthorityError extends Error {
  readonly code = 'tls-unusable';
  override readonly name = 'AuthorityError';
}

/**
 * The hub's own CA and a server certificate of it for `hosts` (names and addresses), kept in `dir` as `ca.key`, `ca.pem`,
 * `tls.key` and `tls.pem`, mode 0600. The CA is made once; the certificate again when `hosts` change or it nears its end.
 */
export async function ensureAuthority(options: {
  dir: string;
  hosts: string[];
  nowMs?: number;
}): Promise<Authority> {
  const { dir, hosts, nowMs = Date.now() } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const ca = read(dir, 'ca') ?? write(dir, 'ca', await issueAuthority(nowMs));
  const kept = read(dir, 'tls');
  const leaf =
    kept !== null && isGood(kept.cert, ca.cert, hosts, nowMs)
      ? kept
      : write(dir, 'tls', await issueLeaf(ca, hosts, nowMs));
  return { key: leaf.key, cert: leaf.cert + ca.cert, ca: ca.cert, pin: pinOf(ca.cert) };
}

function read(dir: string, name: string): Credential | null {
  const paths = { key: join(dir, `${name}.key`), cert: join(dir, `${name}.pem`) };
  if (!existsSync(paths.cert)) return null;
  let isPair: boolean;
  const credential = { key: readFileSync(paths.key, 'utf8'), cert: readFileSync(paths.cert, 'utf8') };
  try {
    isPair = new X509Certificate(credential.cert).checkPrivateKey(createPrivateKey(credential.key));
  } catch (error) {
    throw new AuthorityError(
      `${paths.cert} or ${paths.key} can't be read (${error instanceof Error ? error.message : error}); restore both from a backup, or remove both and invite every site again`,
    );
  }
  if (!isPair)
    throw new AuthorityError(
      `${paths.key} is not the key of ${paths.cert}; restore both from a backup, or remove both and invite every site again`,
    );
  return credential;
}

/** The key first: a certificate that is there has its key beside it, also after a crash. */
function write(dir: string, name: string, credential: Credential): Credential {
  for (const [suffix, text] of [
    ['key', credential.key],
    ['pem', credential.cert],
  ]) {
    const path = join(dir, `${name}.${suffix}`);
    writeFileSync(`${path}.new`, text ?? '', { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
  }
  return credential;
}

function isGood(leaf: string, ca: string, hosts: readonly string[], nowMs: number): boolean {
  const certificate = new X509Certificate(leaf);
  const covers = (host: string) =>
    (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
  return (
    certificate.verify(new X509Certificate(ca).publicKey) &&
    hosts.every(covers) &&
    Date.parse(certificate.validTo) - nowMs > RENEW_BEFORE_MS
  );
}
