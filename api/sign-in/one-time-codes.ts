import { randomBytes } from 'node:crypto';
import type { Session } from './session-cookie.ts';

/** How long a sign-in code is good. */
const CODE_LASTS_MS = 10 * 60_000;
const MAX_CODES = 16;

/** Whom a session is for. */
type Who = Pick<Session, 'by' | 'role' | 'token'>;

/** Sign-in codes, each for one person and good once; the oldest is forgotten when there are too many. */
export class OneTimeCodes {
  readonly #codes = new Map<string, { who: Who; expiresAtMs: number }>();

  issue(who: Who, nowMs: number): { code: string; expiresAtMs: number } {
    for (const [code, { expiresAtMs }] of this.#codes)
      if (expiresAtMs <= nowMs || this.#codes.size >= MAX_CODES) this.#codes.delete(code);
    const code = randomBytes(24).toString('base64url');
    const expiresAtMs = nowMs + CODE_LASTS_MS;
    this.#codes.set(code, { who, expiresAtMs });
    return { code, expiresAtMs };
  }

  /** Whom the code was for, or null when it was not good; it is not any more. */
  redeem(code: string, nowMs: number): Who | null {
    const issued = this.#codes.get(code);
    this.#codes.delete(code);
    return issued !== undefined && issued.expiresAtMs > nowMs ? issued.who : null;
  }
}
