import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connectTrouble } from './trouble.ts';

export type PostOptions = {
  address: URL;
  body: string;
  /** The hub's own authority (PEM), the only one that is believed; null where there is no TLS. */
  ca: string | null;
  timeoutMs: number;
  /** Ends it before that. */
  signal?: AbortSignal;
  maxAnswerBytes: number;
};
export type Answer =
  | { ok: true; status: number; text: string }
  /** `connected`: somebody took the connection, and then did not answer as one should. */
  | { ok: false; code: 'unreachable'; detail: string; connected: boolean };

/** Sends JSON to the hub over a connection of its own. Never rejects. */
export function post({ address, body, ca, timeoutMs, signal, maxAnswerBytes }: PostOptions): Promise<Answer> {
  return new Promise((resolve) => {
    let connected = false;
    const fail = (error: unknown): void =>
      resolve({ ok: false, code: 'unreachable', detail: connectTrouble(address.host, error), connected });
    const send = address.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(address, {
      method: 'POST',
      // No agent: a connection that was there before proves nothing.
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      ...(signal !== undefined && { signal }),
      // The pinned authority is the hub's own and signs nobody else, so any name it vouches for is the hub's.
      ...(ca !== null && { ca, checkServerIdentity: () => undefined }),
    });
    const patience = setTimeout(() => request.destroy(new Error('it does not answer')), timeoutMs);
    request.on('close', () => clearTimeout(patience));
    request.on('socket', (socket) =>
      socket.on('connect', () => {
        connected = true;
      }),
    );
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) response.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({ ok: true, status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    request.end(body);
  });
}
