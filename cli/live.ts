import { Compile } from 'typebox/compile';
import { type ClientOptions, WebSocket } from 'ws';
import {
  type HubView,
  LiveMessage,
  type LiveRequest,
  type Rollup,
  type SiteView,
  type VirtualSiteView,
} from '../core/model/view.ts';
import type { Connection } from './connection.ts';
import { EXIT, Refusal } from './exit.ts';
import { unreachable } from './hub-client.ts';

const message = Compile(LiveMessage);
/** The hub says something at least every 5 s; after this long the connection counts as gone. */
const QUIET_MS = 12_000;
const MAX_BACKOFF_MS = 10_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** The fleet as the hub last said it. */
export type LivePicture = {
  version: number;
  hub: HubView;
  rollup: Rollup;
  sites: Map<string, SiteView>;
  virtualSites: VirtualSiteView[];
};

export type LiveEvents = {
  /** `before` is null for the first picture after a (re)connection. */
  onPicture(picture: LivePicture, before: ReadonlyMap<string, SiteView> | null): void;
  onTrouble(text: string): void;
};

/**
 * Follows the hub's live view until the signal aborts, connecting again by itself (0.5 s to 10 s apart).
 * Rejects with a Refusal when the first connection can't be made, or the hub refuses what was asked.
 */
export async function followLive(
  connection: Connection,
  filter: NonNullable<LiveRequest['filter']>,
  events: LiveEvents,
  signal: AbortSignal,
): Promise<void> {
  let wasConnected = false;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const end = await followOnce(connection, filter, events, signal, () => {
      wasConnected = true;
      attempt = 0;
    });
    if (end === null || signal.aborted) return;
    if (!wasConnected || end.exitCode !== EXIT.unreachable) throw end;
    events.onTrouble(end.message);
    await pause(Math.min(MAX_BACKOFF_MS, 500 * 2 ** attempt), signal);
  }
}

/** One connection, until it ends. Null when that was asked for. */
function followOnce(
  { url, token, ca }: Connection,
  filter: NonNullable<LiveRequest['filter']>,
  events: LiveEvents,
  signal: AbortSignal,
  onSnapshot: () => void,
): Promise<Refusal | null> {
  const { promise, resolve } = Promise.withResolvers<Refusal | null>();
  const target = new URL('/api/v1/live', url);
  target.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const options: ClientOptions = {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: 10_000,
    maxPayload: MAX_MESSAGE_BYTES,
    ...(ca !== null && { ca }),
  };
  const socket = new WebSocket(target, options);
  let picture: LivePicture | null = null;
  const end = (result: Refusal | null) => {
    clearTimeout(quiet);
    signal.removeEventListener('abort', stop);
    socket.terminate();
    resolve(result);
  };
  const stop = () => end(null);
  const lost = (why: string) => end(new Refusal(EXIT.unreachable, `The hub at ${url.origin} ${why}.`));
  const quiet = setTimeout(() => lost('has gone quiet'), QUIET_MS);
  signal.addEventListener('abort', stop);
  socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', filter } satisfies LiveRequest)));
  socket.on('unexpected-response', (_request, response) =>
    end(refusedUpgrade(url, response.statusCode ?? 0)),
  );
  socket.on('error', (error) => end(unreachable(url, error)));
  socket.on('close', (code) => lost(`closed the connection (${code})`));
  socket.on('message', (data) => {
    quiet.refresh();
    const said = parse(data);
    if (said === null)
      return end(
        new Refusal(
          EXIT.violations,
          'The hub says what this version does not know; use the CLI of its version.',
        ),
      );
    if (said.type === 'error') return end(new Refusal(EXIT.violations, `${said.detail} [${said.code}]`));
    if (said.type === 'pulse') {
      if (picture !== null) events.onPicture(Object.assign(picture, { hub: said.hub }), picture.sites);
      return;
    }
    if (said.type === 'delta' && picture?.version !== said.from) return lost('skipped a change');
    const before = picture?.sites ?? null;
    picture = advance(picture, said);
    if (said.type === 'snapshot') onSnapshot();
    events.onPicture(picture, before);
  });
  return promise;
}

function advance(
  picture: LivePicture | null,
  said: Exclude<LiveMessage, { type: 'pulse' | 'error' }>,
): LivePicture {
  const { version, hub, rollup, virtualSites } = said;
  if (said.type === 'snapshot')
    return { version, hub, rollup, virtualSites, sites: new Map(said.sites.map((site) => [site.id, site])) };
  const sites = new Map(picture?.sites);
  for (const site of said.upsert) sites.set(site.id, site);
  for (const id of said.remove) sites.delete(id);
  return { version, hub, rollup, virtualSites, sites };
}

function parse(data: unknown): LiveMessage | null {
  try {
    const value: unknown = JSON.parse(String(data));
    return message.Check(value) ? value : null;
  } catch {
    return null;
  }
}

function refusedUpgrade(url: URL, status: number): Refusal {
  if (status === 401)
    return new Refusal(
      EXIT.violations,
      'Sign in first. Give a valid token with --token or PLUMBLINE_TOKEN. [unauthorized]',
    );
  const code = status >= 502 && status <= 504 ? EXIT.unreachable : EXIT.violations;
  return new Refusal(code, `The hub at ${url.origin} refused the live view (${status}).`);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', done);
    resolve();
  };
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', done);
  return promise;
}
