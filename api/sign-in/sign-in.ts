import type { IncomingHttpHeaders } from 'node:http';
import { fastifyCookie } from '@fastify/cookie';
import type { Clock } from '../../core/ports/clock.ts';
import { sameSecret, sha256 } from '../../core/seal.ts';
import type { Directory } from '../directory.ts';
import { OneTimeCodes } from './one-time-codes.ts';
import type { Principal } from './principal.ts';
import type { Session, SessionCookies } from './session-cookie.ts';

/** A bearer token has at most this many characters; longer ones are not even hashed. */
const MAX_TOKEN_CHARACTERS = 512;
const ADMIN = { by: 'admin', role: 'admin', token: null } as const;

/** The form in which tokens are kept: hex SHA-256, since they are random and long. */
export function tokenHash(token: string): string {
  return sha256(token).toString('hex');
}

function bearerOf({ authorization }: IncomingHttpHeaders): string | undefined {
  return /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
}

/** Who is who: bearer tokens, cookie sessions, one-time codes, and which pages may use a session. */
export class SignIn {
  readonly #codes = new OneTimeCodes();
  readonly #cookies: SessionCookies;
  readonly #directory: () => Directory;
  readonly #adminTokenHash: string;
  readonly #clock: Clock;
  #origins: ReadonlySet<string> = new Set();
  #cookieName = 'plumbline_session';

  constructor(parts: {
    cookies: SessionCookies;
    directory: () => Directory;
    adminTokenHash: string;
    clock: Clock;
  }) {
    this.#cookies = parts.cookies;
    this.#directory = parts.directory;
    this.#adminTokenHash = parts.adminTokenHash;
    this.#clock = parts.clock;
  }

  /** Cookies don't tell ports apart, so that two hubs of one machine need two names. */
  listeningAt(port: number, origins: readonly string[]): void {
    this.#cookieName = `plumbline_session_${port}`;
    this.#origins = new Set(origins);
  }
  get cookieName(): string {
    return this.#cookieName;
  }

  principal(headers: IncomingHttpHeaders): Principal | null {
    const bearer = bearerOf(headers);
    if (bearer !== undefined) {
      const who = this.#holder(bearer);
      return who === null ? null : { by: who.by, role: who.role, via: 'bearer', expiresAtMs: null };
    }
    const session = this.session(headers);
    if (session === null) return null;
    return { by: session.by, role: session.role, via: 'cookie', expiresAtMs: session.expiresAtMs };
  }

  /** The session of a request's cookie; one that was opened with a token ends when the token is deleted. */
  session(headers: IncomingHttpHeaders): Session | null {
    const value = fastifyCookie.parse(headers.cookie ?? '')[this.#cookieName];
    const session = value === undefined ? null : this.#cookies.read(value, this.#clock.nowMs());
    if (session === null || session.token === null) return session;
    const token = this.#directory().tokens.get(session.by);
    return token?.metadata.uid === session.token ? session : null;
  }

  /** A new session for whoever holds this token, or null. */
  withToken(token: string): { value: string; session: Session } | null {
    const who = this.#holder(token);
    return who === null ? null : this.#cookies.open(who, this.#clock.nowMs());
  }

  withCode(code: string): { value: string; session: Session } | null {
    const nowMs = this.#clock.nowMs();
    const who = this.#codes.redeem(code, nowMs);
    return who === null ? null : this.#cookies.open(who, nowMs);
  }

  adminCode(): string {
    return this.#codes.issue(ADMIN, this.#clock.nowMs()).code;
  }

  /** A code for whoever holds the token of this request, never for anybody else; null when it has none. */
  codeFor(headers: IncomingHttpHeaders): { code: string; expiresAtMs: number } | null {
    const who = this.#holder(bearerOf(headers) ?? '');
    return who === null ? null : this.#codes.issue(who, this.#clock.nowMs());
  }

  signOut(headers: IncomingHttpHeaders): void {
    const session = this.session(headers);
    if (session !== null) this.#cookies.end(session, this.#clock.nowMs());
  }

  /**
   * Whether the page that sends this may: one of the hub's own addresses, or the very host it was sent to. Programs send
   * no Origin; with a cookie there has to be one, because the same site on another port is `SameSite` too.
   */
  isOwnOrigin({ origin, host }: IncomingHttpHeaders, withCookie: boolean): boolean {
    if (origin === undefined) return !withCookie;
    return this.#origins.has(origin) || (URL.canParse(origin) && new URL(origin).host === host);
  }

  #holder(token: string): Pick<Session, 'by' | 'role' | 'token'> | null {
    if (token === '' || token.length > MAX_TOKEN_CHARACTERS) return null;
    const hash = tokenHash(token);
    if (sameSecret(hash, this.#adminTokenHash)) return ADMIN;
    const known = this.#directory().tokenByHash(hash);
    if (known === undefined) return null;
    return { by: known.metadata.name, role: known.spec.role, token: known.metadata.uid };
  }
}
