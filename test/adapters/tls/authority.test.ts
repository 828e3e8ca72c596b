import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AuthorityError, ensureAuthority } from '../../../adapters/tls/authority.ts';
import { readCertificate } from '../../../adapters/tls/certificate.ts';

const DAY_MS = 86_400_000;
const HOSTS = ['localhost', '127.0.0.1', '::1', 'hub.example'];

describe('the hub’s own authority', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'plumbline-tls-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test('serves a chain that a client which trusts only the CA accepts under each of its names', async () => {
    const { key, cert, ca, pin } = await ensureAuthority({ dir, hosts: HOSTS });
    const server = createServer({ key, cert }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      for (const servername of ['localhost', 'hub.example']) {
        const socket = connect({ host: '127.0.0.1', port, ca, servername });
        await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
        expect(socket.authorized).toBe(true);
        const issuer = socket.getPeerX509Certificate()?.issuerCertificate;
        const spki = issuer?.publicKey.export({ type: 'spki', format: 'der' }) ?? '';
        expect(createHash('sha256').update(spki).digest('base64url')).toBe(pin);
        socket.destroy();
      }
      const stranger = connect({ host: '127.0.0.1', port, ca, servername: 'other.example' });
      const error = await new Promise<Error>((resolve) => stranger.once('error', resolve));
      expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('is made once, and kept where only its owner can read it', async () => {
    const first = await ensureAuthority({ dir, hosts: HOSTS });
    expect(await ensureAuthority({ dir, hosts: HOSTS })).toEqual(first);
    expect(readdirSync(dir).toSorted()).toEqual(['ca.key', 'ca.pem', 'tls.key', 'tls.pem']);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  test('issues a new certificate for a new host and near the end, under the same pin', async () => {
    const nowMs = Date.now();
    const first = await ensureAuthority({ dir, hosts: HOSTS, nowMs });
    const wider = await ensureAuthority({ dir, hosts: [...HOSTS, '192.0.2.7'], nowMs });
    expect(wider.cert).not.toBe(first.cert);
    expect(wider.pin).toBe(first.pin);
    expect(new X509Certificate(wider.cert).checkIP('192.0.2.7')).toBe('192.0.2.7');
    const late = await ensureAuthority({ dir, hosts: HOSTS, nowMs: nowMs + 370 * DAY_MS });
    expect(late.cert).not.toBe(wider.cert);
    expect(late.ca).toBe(first.ca);
  });

  test('is valid for a clock that is a year behind, and for none that is two', async () => {
    const nowMs = Date.now();
    const { cert, ca } = await ensureAuthority({ dir, hosts: HOSTS, nowMs });
    for (const pem of [cert, ca]) {
      const { validFrom } = new X509Certificate(pem);
      expect(nowMs - Date.parse(validFrom)).toBeGreaterThan(364 * DAY_MS);
      expect(nowMs - Date.parse(validFrom)).toBeLessThan(366 * DAY_MS);
    }
  });

  test('never replaces a CA that it can’t read: it says which file, and what to do', async () => {
    await ensureAuthority({ dir, hosts: HOSTS });
    const key = readFileSync(join(dir, 'ca.key'));
    writeFileSync(join(dir, 'ca.key'), 'damaged');
    await expect(ensureAuthority({ dir, hosts: HOSTS })).rejects.toThrow(/ca\.pem.*restore/);
    writeFileSync(join(dir, 'ca.key'), readFileSync(join(dir, 'tls.key')));
    await expect(ensureAuthority({ dir, hosts: HOSTS })).rejects.toThrow(AuthorityError);
    writeFileSync(join(dir, 'ca.key'), key);
    await ensureAuthority({ dir, hosts: HOSTS });
  });

  test('an operator’s own certificate is taken when its files belong together', async () => {
    const { pin } = await ensureAuthority({ dir, hosts: HOSTS });
    const at = (name: string) => join(dir, name);
    const own = readCertificate({ cert: at('tls.pem'), key: at('tls.key'), ca: at('ca.pem') });
    expect(own.pin).toBe(pin);
    expect(() => readCertificate({ cert: at('tls.pem'), key: at('ca.key'), ca: at('ca.pem') })).toThrow(
      /not the key/,
    );
    expect(() => readCertificate({ cert: at('tls.pem'), key: at('tls.key'), ca: at('tls.pem') })).toThrow(
      /did not sign/,
    );
    expect(() => readCertificate({ cert: at('tls.pem'), key: '', ca: '' })).toThrow(/tlsKey is missing/);
  });
});
