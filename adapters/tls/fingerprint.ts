import { createHash, X509Certificate } from 'node:crypto';

/**
 * The pin of a certificate: base64url SHA-256 of its public key's SubjectPublicKeyInfo in DER (as in RFC 7469), so that it
 * stays the same when the certificate is issued again for the same key. A site keeps its CA's.
 */
export function pinOf(certificatePem: string): string {
  const key = new X509Certificate(certificatePem).publicKey;
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
