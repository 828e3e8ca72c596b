import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Clock } from '../../core/ports/clock.ts';
import type { PolicyLink } from '../../core/ports/policy-link.ts';
import { echoProof, sameSecret } from '../../core/seal.ts';
import { connectTrouble } from './trouble.ts';

const Answer = Compile(Type.Object({ proof: Type.String({ maxLength: 64 }) }));
const MAX_ANSWER_BYTES = 4096;
/** One attempt of several: packets that are dropped must not use up the whole time. */
const ATTEMPT_MS = 5000;
const PAUSE_MS = 250;

export type EchoOptions = {
  /** The hub's address. */
  url: string;
  site: string;
  key: KeyObject;
  ca: string | null;
  clock: Clock;
};
type Confirmation = Awaited<ReturnType<PolicyLink['confirm']>>;

/**
 * Whether the hub can be reached by somebody who begins anew: its name is looked up afresh, the connection is a new one, and
 * the answer proves that it knows the site's key. Tries again until it can or `withinMs` is over.
 */
export async function echo(
  options: EchoOptions,
  withinMs: number,
  signal: AbortSignal,
): Promise<Confirmation> {
  const { clock } = options;
  const until = clock.monoMs() + withinMs;
  let last: Confirmation = { ok: false, code: 'unreachable', detail: 'there was no time to ask' };
  for (;;) {
    const leftMs = until - clock.monoMs();
    if (signal.aborted || leftMs <= 0) return last;
    last = await attempt(options, Math.min(ATTEMPT_MS, leftMs), signal);
    if (last.ok) return last;
    await delay(Math.max(0, Math.min(PAUSE_MS, until - clock.monoMs())), undefined, { signal }).catch(
      () => undefined,
    );
  }
}

function attempt(
  { url, site, key, ca }: EchoOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Confirmation> {
  const address = new URL(`/api/v1/sites/${site}/echo`, url);
  const nonce = randomBytes(18).toString('base64url');
  const body = JSON.stringify({ nonce });
  return new Promise((resolve) => {
    const fail = (error: unknown): void =>
      resolve({ ok: false, code: 'unreachable', detail: connectTrouble(address.host, error) });
    const send = address.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(address, {
      method: 'POST',
      // No agent: a connection that was there before proves nothing.
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]),
      // The pinned authority is the hub's own and signs nobody else, so any name it vouches for is the hub's.
      ...(ca !== null && { ca, checkServerIdentity: () => undefined }),
    });
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) response.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        const proof = proofIn(Buffer.concat(chunks).toString());
        if (proof !== null && sameSecret(proof, echoProof(key, site, nonce))) resolve({ ok: true });
        else if (response.statusCode === 200)
          resolve({
            ok: false,
            code: 'unauthentic',
            detail: `what answers at ${address.host} does not know the key of site ${site}`,
          });
        else fail(new Error(`it answers HTTP ${response.statusCode}`));
      });
    });
    request.end(body);
  });
}

function proofIn(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return Answer.Check(value) ? value.proof : null;
  } catch {
    return null;
  }
}
