import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Confirmation } from '../../core/ports/policy-link.ts';
import { echoProof, sameSecret } from '../../core/seal.ts';
import { post } from './post.ts';
import { connectTrouble } from './trouble.ts';

const validator = Compile(Type.Object({ proof: Type.String({ maxLength: 64 }) }));
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
type Failure = Omit<Exclude<Confirmation, { ok: true }>, 'isHubThere'>;
type Answer = { ok: true } | Failure;
/** The later, the more it says: one attempt that gets further than another is what the whole comes to. */
const CODES: readonly Failure['code'][] = ['unreachable', 'unanswered', 'unauthentic'];

/**
 * Whether the hub can be reached by somebody who begins anew: its name is looked up afresh, the connection is a new one, and
 * the answer proves that it knows the site's key. Tries again until it can or `withinMs` is over.
 */
export async function echo(options: EchoOptions, withinMs: number, signal: AbortSignal): Promise<Answer> {
  const { clock } = options;
  const until = clock.monoMs() + withinMs;
  let last: Failure = { ok: false, code: 'unreachable', detail: 'there was no time to ask' };
  for (;;) {
    const leftMs = until - clock.monoMs();
    if (signal.aborted || leftMs <= 0) return last;
    const answer = await attempt(options, Math.min(ATTEMPT_MS, leftMs), signal);
    if (answer.ok) return answer;
    if (CODES.indexOf(answer.code) >= CODES.indexOf(last.code)) last = answer;
    await delay(Math.max(0, Math.min(PAUSE_MS, until - clock.monoMs())), undefined, { signal }).catch(
      () => undefined,
    );
  }
}

async function attempt(
  { url, site, key, ca }: EchoOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const address = new URL(`/api/v1/sites/${site}/echo`, url);
  const nonce = randomBytes(18).toString('base64url');
  const answer = await post({
    address,
    body: JSON.stringify({ nonce }),
    ca,
    timeoutMs,
    signal,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  if (!answer.ok)
    return { ok: false, code: answer.connected ? 'unanswered' : 'unreachable', detail: answer.detail };
  const said = readJson(answer.text);
  if (validator.Check(said) && sameSecret(said.proof, echoProof(key, site, nonce))) return { ok: true };
  if (answer.status === 200)
    return {
      ok: false,
      code: 'unauthentic',
      detail: `what answers at ${address.host} does not know the key of site ${site}`,
    };
  const wrong = new Error(`it answers HTTP ${answer.status}`);
  return { ok: false, code: 'unanswered', detail: connectTrouble(address.host, wrong) };
}
