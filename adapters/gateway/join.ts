import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { JoinToken } from '../../core/join-token.ts';
import { readJson } from '../../core/json.ts';
import { fetchPinnedAuthority } from './pinned-authority.ts';
import { post } from './post.ts';

export type JoinResult =
  | {
      ok: true;
      site: string;
      keyEpoch: number;
      /** base64url */
      key: string;
      ca: string | null;
      url: string;
      hubTimeMs: number;
      /** How many boots the hub knows of earlier installations of this site. */
      bootsBefore: number;
    }
  /** The hub's problem code (core/problem.ts), or one of `insecure-url`, `wrong-pin`, `unreachable`, `bad-answer`. */
  | { ok: false; code: string; detail: string };

const Joined = Compile(
  Type.Object({
    site: Type.String(),
    keyEpoch: Type.Integer({ minimum: 1 }),
    key: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    hubTimeMs: Type.Integer(),
    bootsBefore: Type.Integer({ minimum: 0 }),
  }),
);
const Refused = Compile(Type.Object({ code: Type.String(), detail: Type.String() }));
const MAX_ANSWER_BYTES = 64 * 1024;
/** Longer than the hub itself waits for its control role. */
const TIMEOUT_MS = 20_000;

/** Exchanges a token's secret for the site's key. The secret is sent only to who holds the pinned authority's certificate. */
export async function join(options: {
  token: JoinToken;
  /** Random id of this installation, so that it may repeat the exchange when the answer got lost. */
  instance: string;
  timeoutMs?: number;
}): Promise<JoinResult> {
  const { token, instance, timeoutMs = TIMEOUT_MS } = options;
  if (!URL.canParse(token.url)) return insecure(`the token's address ${token.url} is not a URL`);
  const address = new URL(token.url);
  const isTls = address.protocol === 'https:';
  if (isTls && token.pin === null)
    return insecure('the token names a TLS address without the pin of its certificate; make a new token');
  if (!isTls && !isLoopback(address.hostname))
    return insecure(
      `the token's address ${token.url} has no TLS, which is only for this very machine; give the hub a TLS listener`,
    );
  let ca: string | null = null;
  if (token.pin !== null && isTls) {
    const authority = await fetchPinnedAuthority(address, token.pin, timeoutMs);
    if (!authority.ok) return authority;
    ca = authority.ca;
  }
  const body = JSON.stringify({ site: token.site, secret: token.secret, instance });
  const answer = await post({
    address: new URL('/api/v1/join', address),
    body,
    ca,
    timeoutMs,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  if (!answer.ok) return answer;
  const value = readJson(answer.text);
  if (answer.status >= 200 && answer.status < 300 && Joined.Check(value) && value.site === token.site)
    return { ok: true, ...value, ca, url: address.origin };
  if (Refused.Check(value)) return { ok: false, code: value.code, detail: value.detail };
  return {
    ok: false,
    code: 'bad-answer',
    detail: `what answers at ${address.host} is not a hub (HTTP ${answer.status})`,
  };
}

function insecure(detail: string): JoinResult {
  return { ok: false, code: 'insecure-url', detail };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
