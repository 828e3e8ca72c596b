import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Authority, AuthorityError } from './authority.ts';
import { pinOf } from './fingerprint.ts';

/**
 * A certificate of the operator's own, from PEM files: the chain to serve, its key, and the CA that join tokens pin.
 * Throws AuthorityError when they don't belong together, naming the file.
 */
export function readCertificate(files: { cert: string; key: string; ca: string }): Authority {
  const [cert, key, ca] = [read(files.cert, 'tlsCert'), read(files.key, 'tlsKey'), read(files.ca, 'tlsCa')];
  const leaf = parse('tlsCert', files.cert, () => new X509Certificate(cert));
  const issuer = parse('tlsCa', files.ca, () => new X509Certificate(ca));
  if (!leaf.checkPrivateKey(parse('tlsKey', files.key, () => createPrivateKey(key))))
    throw new AuthorityError(
      `${files.key} is not the key of ${files.cert}; give the pair that belongs together`,
    );
  if (!leaf.verify(issuer.publicKey))
    throw new AuthorityError(
      `${files.ca} did not sign ${files.cert}; tlsCa is the certificate of its issuer`,
    );
  return { key, cert: cert + ca, ca, pin: pinOf(ca) };
}

function parse<T>(setting: string, path: string, as: () => T): T {
  try {
    return as();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const what = setting === 'tlsKey' ? 'a private key without a passphrase' : 'a certificate';
    throw new AuthorityError(`${setting}: ${path} can't be read as PEM (${why}); give ${what} as PEM`);
  }
}

function read(path: string, setting: string): string {
  if (path === '') throw new AuthorityError(`tlsCert, tlsKey and tlsCa go together; ${setting} is missing`);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AuthorityError(`${setting}: ${error instanceof Error ? error.message : error}`);
  }
}
