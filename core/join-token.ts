import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { SiteId } from './model/site.ts';

/** What a join token carries: where the hub is, how to know it, for which site, and the secret that is good once. */
const JoinToken = Type.Object({
  v: Type.Literal(1),
  /** `https://host:port`, or `http://` on loopback only. */
  url: Type.String({ pattern: '^https?://' }),
  /** base64url SHA-256 of the hub's CA's public key (its SubjectPublicKeyInfo); null on plain loopback. */
  pin: Type.Union([Type.String({ minLength: 43, maxLength: 43 }), Type.Null()]),
  site: SiteId,
  secret: Type.String({ minLength: 16, maxLength: 128 }),
});
export type JoinToken = Static<typeof JoinToken>;
const validator = Compile(JoinToken);
const PREFIX = 'plj1.';

export function encodeJoinToken(token: JoinToken): string {
  return PREFIX + Buffer.from(JSON.stringify(token)).toString('base64url');
}

export function decodeJoinToken(
  text: string,
): { ok: true; token: JoinToken } | { ok: false; reason: string } {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX))
    return {
      ok: false,
      reason: `a join token begins with "${PREFIX}"; copy it whole from \`plumbline site add\``,
    };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(trimmed.slice(PREFIX.length), 'base64url').toString('utf8'));
  } catch {
    return {
      ok: false,
      reason:
        'the join token is damaged (cut short or altered); copy it whole, or make a new one with `plumbline site token NAME`',
    };
  }
  if (!validator.Check(value))
    return {
      ok: false,
      reason: 'the join token lacks a field; make a new one with `plumbline site token NAME`',
    };
  return { ok: true, token: value };
}
