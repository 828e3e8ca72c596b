// x509 needs the reflection API that this import adds; it has to come first.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** Certificates begin a year before they are made, so that a site whose clock is behind still takes them. */
const BEGINS_EARLIER_MS = 365 * DAY_MS;
const CA_LASTS_MS = 3650 * DAY_MS;
const LEAF_LASTS_MS = 397 * DAY_MS;

/** A key and its certificate, PEM. */
export type Credential = { key: string; cert: string };

/** A new CA of its own, good for ten years. */
export async function issueAuthority(nowMs: number): Promise<Credential> {
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=Plumbline hub CA',
    notBefore: new Date(nowMs - BEGINS_EARLIER_MS),
    notAfter: new Date(nowMs + CA_LASTS_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await keyPem(keys.privateKey), cert: pem(certificate) };
}

/** A server certificate for host names and addresses, signed by the CA, good for 13 months and never longer than the CA. */
export async function issueLeaf(
  ca: Credential,
  hosts: readonly string[],
  nowMs: number,
): Promise<Credential> {
  const authority = new X509Certificate(ca.cert);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(ca.key), EC, false, [
    'sign',
  ]);
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const names: JsonGeneralNames = hosts.map((host) => ({ type: isIP(host) ? 'ip' : 'dns', value: host }));
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=Plumbline hub',
    issuer: authority.subject,
    notBefore: new Date(nowMs - BEGINS_EARLIER_MS),
    notAfter: new Date(Math.min(nowMs + LEAF_LASTS_MS, authority.notAfter.getTime())),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  return { key: await keyPem(keys.privateKey), cert: pem(certificate) };
}

/** Positive, as RFC 5280 wants it: the first bit is off. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString('hex');
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
