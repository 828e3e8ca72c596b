import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Labels } from '../core/model/site.ts';
import { SiteInvitation } from '../core/model/view.ts';

const ANSWER_WITHIN_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const invitation = Compile(SiteInvitation);
const refusal = Compile(Type.Object({ code: Type.String(), detail: Type.String() }));

export type HubAddress = { url: URL; token: string; ca: string | null };
export type Invited = { ok: true; token: string } | { ok: false; code: string; detail: string };

export type Invitations = {
  /** An invitation of a new simulated site, or a new one of a site that an earlier run registered. */
  invite(site: string, labels: Labels): Promise<Invited>;
  close(): void;
};

/** Asks a hub for join tokens over a few connections that are kept. */
export function openInvitations({ url, token, ca }: HubAddress): Invitations {
  const isTls = url.protocol === 'https:';
  const kept = { keepAlive: true, maxSockets: 32 };
  const agent = isTls ? new HttpsAgent({ ...kept, ...(ca !== null && { ca }) }) : new HttpAgent(kept);
  const send = isTls ? httpsRequest : httpRequest;

  function post(path: string, body: object): Promise<unknown> {
    const payload = JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(payload),
    };
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const request = send(new URL(path, url), { method: 'POST', agent, headers, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error('its answer is too large'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => resolve(parse(Buffer.concat(chunks).toString('utf8'))));
    });
    request.on('error', reject);
    request.end(payload);
    return promise;
  }

  async function ask(path: string, body: object): Promise<Invited> {
    let answer: unknown;
    try {
      answer = await post(path, body);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return {
        ok: false,
        code: 'unreachable',
        detail: `the hub at ${url.origin} can't be reached (${why}); start it, or correct --url`,
      };
    }
    if (invitation.Check(answer)) return { ok: true, token: answer.token };
    if (refusal.Check(answer)) return { ok: false, code: answer.code, detail: answer.detail };
    return {
      ok: false,
      code: 'bad-answer',
      detail: `${url.origin} does not answer as a hub of this version does`,
    };
  }

  return {
    async invite(site, labels) {
      const added = await ask('/api/v1/sites', { name: site, labels, kind: 'simulated' });
      if (added.ok || added.code !== 'already-exists') return added;
      return ask(`/api/v1/sites/${encodeURIComponent(site)}/token`, {});
    },
    close() {
      agent.destroy();
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
