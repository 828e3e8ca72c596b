import { CLOSE } from '../../core/channel.ts';

const NEW_TOKEN = 'make a new token at the hub with `plumbline site token NAME` and join again with it';

const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is the hub running?',
  ENOTFOUND: 'its name is not known to DNS',
  EAI_AGAIN: 'DNS does not answer',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ECONNRESET: 'it cut the connection',
  EPIPE: 'it cut the connection',
  EPROTO: 'what answers there does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what answers there does not speak TLS',
  CERT_HAS_EXPIRED: "its certificate has expired, or this machine's clock is wrong",
  CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine's clock is wrong",
};
/** OpenSSL's names for a chain that does not end at the authority that was pinned. */
const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

/** Why the hub could not be reached, for a person. */
export function connectTrouble(address: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (UNTRUSTED.has(code))
    return `the hub at ${address} shows a certificate of another authority than the one this site joined; ${NEW_TOKEN}`;
  const why = BY_CODE[code] ?? (error instanceof Error ? error.message : String(error));
  return `can't reach the hub at ${address}: ${why}`;
}

/** Why the hub answered the channel's request with something else than a channel. */
export function refusedTrouble(address: string, status: number): string {
  if (status === 401 || status === 403)
    return `the hub at ${address} refuses this site (HTTP ${status}); ${NEW_TOKEN}`;
  if (status === 404) return `what answers at ${address} has no site gateway (HTTP 404); is it a hub?`;
  return `the hub at ${address} is not ready (HTTP ${status})`;
}

/** Why the hub closed the channel. `final` ones only a person can mend. */
export function closeTrouble(site: string, code: number, reason: string): { text: string; final: boolean } {
  const said = reason === '' ? '' : ` (${reason})`;
  switch (code) {
    case CLOSE.unauthorized:
      return { text: `the hub does not accept the key of site ${site}${said}; ${NEW_TOKEN}`, final: true };
    case CLOSE.removed:
      return {
        text: `site ${site} was removed at the hub${said}; add it again with \`plumbline site add ${site}\`, or stop this collector`,
        final: true,
      };
    case CLOSE.replaced:
      return {
        text: `another collector connected as site ${site}${said}; stop one of them, or join it under a name of its own`,
        final: true,
      };
    case CLOSE.overloaded:
      return { text: `the hub has too much to do${said}`, final: false };
    case CLOSE.malformed:
      return {
        text: `the hub did not understand this collector${said}; are their versions alike?`,
        final: false,
      };
    case CLOSE.tooBig:
      return { text: `the hub refused a frame as too big${said}`, final: false };
    case CLOSE.goingAway:
      return { text: `the hub is restarting${said}`, final: false };
    default:
      return { text: `the hub's connection closed (code ${code})${said}`, final: false };
  }
}
