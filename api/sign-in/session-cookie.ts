import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomUUID } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { ROLES } from '../../core/model/role.ts';
import { sameSecret } from '../../core/seal.ts';

/** How long a browser stays signed in. */
const SESSION_LASTS_MS = 12 * 3_600_000;
/** Sessions that were ended before their time, remembered until then; the oldest are forgotten first. */
const MAX_ENDED = 10_000;

const Session = Type.Object({
  id: Type.String(),
  by: Type.String(),
  role: Type.Enum(ROLES),
  expiresAtMs: Type.Integer(),
  /** Uid of the Token resource it was opened with; the session ends with it. Null for the administrator's own. */
  token: Type.Union([Type.String(), Type.Null()]),
});
export type Session = Static<typeof Session>;
const validator = Compile(Session);

/**
 * Sessions that live in their cookie: JSON and an HMAC-SHA256 over it, under a key of the hub's master, so that every
 * api role of the same hub accepts them and none has to remember them.
 */
export class SessionCookies {
  readonly #key: KeyObject;
  readonly #ended = new Map<string, number>();

  constructor(master: KeyObject) {
    const bytes = hkdfSync('sha256', master, 'plumbline', 'session-key/v1', 32);
    this.#key = createSecretKey(Buffer.from(bytes));
  }

  open(who: Pick<Session, 'by' | 'role' | 'token'>, nowMs: number): { value: string; session: Session } {
    const session = { id: randomUUID(), ...who, expiresAtMs: nowMs + SESSION_LASTS_MS };
    const text = Buffer.from(JSON.stringify(session)).toString('base64url');
    return { value: `${text}.${this.#mac(text)}`, session };
  }

  /** The session that a cookie carries, or null when it is not ours, is over or was ended. */
  read(value: string, nowMs: number): Session | null {
    const [text = '', mac = '', ...more] = value.split('.');
    if (more.length > 0 || !sameSecret(mac, this.#mac(text))) return null;
    const session: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!validator.Check(session) || session.expiresAtMs <= nowMs || this.#ended.has(session.id)) return null;
    return session;
  }

  /** From now on the cookie is worthless at this role, also where a copy of it is kept. */
  end(session: Session, nowMs: number): void {
    for (const [id, untilMs] of this.#ended)
      if (untilMs <= nowMs || this.#ended.size >= MAX_ENDED) this.#ended.delete(id);
    this.#ended.set(session.id, session.expiresAtMs);
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }
}
