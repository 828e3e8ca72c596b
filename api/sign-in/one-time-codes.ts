import { randomBytes } from 'node:crypto';

/** How long a sign-in code is good. */
const CODE_LASTS_MS = 10 * 60_000;
const MAX_CODES = 16;

/** Sign-in codes for the administrator, good once; the oldest is forgotten when there are too many. */
export class OneTimeCodes {
  readonly #codes = new Map<string, number>();

  issue(nowMs: number): string {
    for (const [code, expiresAtMs] of this.#codes)
      if (expiresAtMs <= nowMs || this.#codes.size >= MAX_CODES) this.#codes.delete(code);
    const code = randomBytes(24).toString('base64url');
    this.#codes.set(code, nowMs + CODE_LASTS_MS);
    return code;
  }

  /** Whether the code was good; it is not any more. */
  redeem(code: string, nowMs: number): boolean {
    const expiresAtMs = this.#codes.get(code);
    this.#codes.delete(code);
    return expiresAtMs !== undefined && expiresAtMs > nowMs;
  }
}
