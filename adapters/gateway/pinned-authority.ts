import type { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import { sameSecret, sha256 } from '../../core/seal.ts';

/** The longest chain that is followed; a hub's own has two certificates. */
const MAX_CHAIN = 8;

export type Authority =
  | { ok: true; ca: string }
  | { ok: false; code: 'unreachable' | 'wrong-pin'; detail: string };

/**
 * Asks a hub for its certificates without trusting it, and gives the one with the pinned public key as PEM, when it has
 * signed, directly or through others, the certificate that the hub proved to own. Nothing is sent on this connection.
 */
export function fetchPinnedAuthority(address: URL, pin: string, timeoutMs: number): Promise<Authority> {
  return new Promise((resolve) => {
    const host = address.hostname.replace(/^\[|\]$/g, '');
    // `rejectUnauthorized: false`: who this is gets decided below, by the pin; until then it learns nothing from us.
    const socket = connect({ host, port: Number(address.port || 443), rejectUnauthorized: false });
    const timer = setTimeout(
      () => finish(unreachable(address, `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    function finish(result: Authority): void {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    }
    socket.on('error', (error) => finish(unreachable(address, error.message)));
    socket.on('close', () => finish(unreachable(address, 'it cut the connection')));
    socket.on('secureConnect', () => finish(findPinned(socket, pin)));
  });
}

function findPinned(socket: TLSSocket, pin: string): Authority {
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  for (let depth = 0; certificate !== undefined && depth < MAX_CHAIN; depth += 1) {
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
    const isPinned = sameSecret(sha256(spki).toString('base64url'), pin);
    // The hub's own leaf may be the pinned one when it signed itself; any other must be an authority.
    if (isPinned && (depth === 0 || certificate.ca)) return { ok: true, ca: certificate.toString() };
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    if (issuer === undefined || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      break;
    certificate = issuer;
  }
  return {
    ok: false,
    code: 'wrong-pin',
    detail:
      'the certificate shown there is not from the hub that made this token: the address leads to another machine, or the hub made itself a new authority; make a new token at the hub with `plumbline site token NAME`',
  };
}

function unreachable(address: URL, why: string): Authority {
  return { ok: false, code: 'unreachable', detail: `can't reach the hub at ${address.host}: ${why}` };
}
