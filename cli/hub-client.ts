import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Connection } from './connection.ts';
import { EXIT, Refusal } from './exit.ts';

/** How long the hub may take over one answer, and how large that may be. */
const ANSWER_WITHIN_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Pages of one list that a command follows at most. */
const MAX_PAGES = 1000;

const ProblemBody = Type.Object({
  code: Type.String(),
  title: Type.String(),
  detail: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
});
const problemBody = Compile(ProblemBody);

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | undefined>>;

/** The hub's HTTP API. Every failure is a Refusal with the exit code and the line to print. */
export type Hub = {
  readonly connection: Connection;
  get<T extends TSchema>(path: string, answer: T, query?: Query): Promise<Static<T>>;
  send<T extends TSchema>(
    method: Exclude<Method, 'GET'>,
    path: string,
    answer: T,
    body?: unknown,
    query?: Query,
  ): Promise<Static<T>>;
  /** Every item of a paged list, up to `limit`, over its cursors. */
  list<T extends TSchema>(path: string, item: T, query?: Query, limit?: number): Promise<Static<T>[]>;
};

export function createHub(connection: Connection): Hub {
  async function call<T extends TSchema>(
    method: Method,
    path: string,
    answer: T,
    query: Query,
    body?: unknown,
  ): Promise<Static<T>> {
    const url = new URL(path, connection.url);
    for (const [key, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(key, value);
    const { status, text } = await exchange(connection, method, url, body);
    const value = parseJson(text);
    if (status >= 400) throw refusalOf(status, value, connection);
    const compiled = Compile(answer);
    if (compiled.Check(value)) return value;
    const [error] = compiled.Errors(value);
    throw new Refusal(
      EXIT.violations,
      `The hub's answer to ${method} ${url.pathname} is not what this version expects (${error?.instancePath || '/'} ${error?.message ?? 'is no JSON'}); use the CLI of the hub's version.`,
    );
  }
  return {
    connection,
    get: (path, answer, query = {}) => call('GET', path, answer, query),
    send: (method, path, answer, body, query = {}) => call(method, path, answer, query, body),
    async list(path, item, query = {}, limit = Number.POSITIVE_INFINITY) {
      const Page = Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) });
      const items: Static<typeof item>[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < MAX_PAGES; page++) {
        const answer = await call('GET', path, Page, { ...query, cursor });
        items.push(...answer.items);
        if (answer.next === null || items.length >= limit) break;
        cursor = answer.next;
      }
      return items.slice(0, limit);
    },
  };
}

/** One exchange; rejects with `unreachable` when nobody answers in time. */
function exchange(
  { token, ca }: Connection,
  method: Method,
  url: URL,
  body: unknown,
): Promise<{ status: number; text: string }> {
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const headers = {
    accept: 'application/json, application/problem+json',
    authorization: `Bearer ${token}`,
    ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const fail = (error: unknown) => reject(unreachable(url, error));
  const request = send(
    url,
    {
      method,
      headers,
      agent: false,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...(ca !== null && { ca }),
    },
    (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error('its answer is too large'));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    },
  );
  request.on('error', fail);
  request.end(payload);
  return promise;
}

const TLS_CODES = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
];

/** What to say of a connection that failed, and what to try, by its code. */
export function unreachable(url: URL, error: unknown): Refusal {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const name = error instanceof Error ? error.name : '';
  const say = (why: string, remedy: string) =>
    new Refusal(EXIT.unreachable, `The hub at ${url.origin} can't be reached: ${why}. ${remedy}`);
  if (code === 'ECONNREFUSED')
    return say('nothing listens there', 'Start it with `plumbline up`, or correct --url.');
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return say('its name is not known', 'Correct --url or the name service.');
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return say('its certificate is for another name', 'Use the name it was made for.');
  if (TLS_CODES.includes(code))
    return say(
      'its certificate is not trusted',
      'Give its CA (hub.ca.pem in its data directory) with --ca or PLUMBLINE_CA.',
    );
  if (code === 'HPE_INVALID_CONSTANT' || code === 'ECONNRESET' || code === 'EPROTO')
    return say('it does not answer in this protocol', 'Check http:// or https:// in --url.');
  if (name === 'TimeoutError' || name === 'AbortError' || code === 'ETIMEDOUT' || code === 'ABORT_ERR')
    return say(
      `no answer within ${ANSWER_WITHIN_MS / 1000} s`,
      'Look at the hub with `plumbline doctor` on its machine.',
    );
  return say(error instanceof Error ? error.message : String(error), 'Correct --url.');
}

/** A refusal of the hub as one line and its faults below it; when the hub can't work now, that is as good as away. */
function refusalOf(status: number, value: unknown, { url }: Connection): Refusal {
  const code = status === 503 || status === 502 || status === 504 ? EXIT.unreachable : EXIT.violations;
  // Node's HTTP server says this itself, before anything of the hub could write a problem.
  if (status === 431)
    return new Refusal(code, 'The request is too long for the hub; give a shorter selector or name.');
  if (!problemBody.Check(value))
    return new Refusal(
      code,
      `${url.origin} answered ${status} and no problem document; is it a Plumbline hub?`,
    );
  const hint = value.code === 'unauthorized' ? ' Give a valid token with --token or PLUMBLINE_TOKEN.' : '';
  const said = value.detail || value.title;
  const more = (value.errors ?? []).filter(({ detail }) => !said.includes(detail));
  const lines = more.map(({ pointer, detail }) => `\n  ${pointer || '/'}: ${detail}`);
  const text = said.charAt(0).toUpperCase() + said.slice(1);
  const sentence = hint !== '' && !/[.!?]$/.test(text) ? `${text}.` : text;
  return new Refusal(code, `${sentence}${hint} [${value.code}]${lines.join('')}`, value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
