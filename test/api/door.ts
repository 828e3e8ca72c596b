/** The api on real parts (SQLite, chDB, control, sockets), in a directory of its own. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { createAggregator } from '../../aggregator/aggregator.ts';
import { type Api, type ApiOptions, createApi } from '../../api/api.ts';
import { CHANNEL_SUBPROTOCOL, type HubMessage } from '../../core/channel.ts';
import type { Hearing } from '../../core/freshness.ts';
import { decodeJoinToken } from '../../core/join-token.ts';
import type { RowOf } from '../../core/model/rows.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { LiveMessage, SiteInvitation } from '../../core/model/view.ts';
import type { Log, LogRecord, TopicName } from '../../core/ports/log.ts';
import { channelProof, keyFrom, sha256 } from '../../core/seal.ts';
import { createControl } from '../../policy/control.ts';
import { until } from '../parts/process.ts';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };
export const ADMIN_TOKEN = 'plt_the-administrators-own-token';

export type Answer = { status: number; headers: Headers; body: unknown; text: string };
export type Door = Awaited<ReturnType<typeof openDoor>>;

/** A clock that runs, and can be set ahead. */
export function movableClock() {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    monoMs: () => performance.now() + aheadMs,
    advance(byMs: number) {
      aheadMs += byMs;
    },
  };
}

export async function openDoor(
  part: Partial<ApiOptions> = {},
  withControl = true,
  wrap: (log: Log) => Log = (log) => log,
) {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-api-'));
  const clock = movableClock();
  const { log, table } = openSqlite({
    dir,
    partitions: 2,
    retentionMs: 3_600_000,
    retentionBytes: 1e9,
    logger: quiet,
    clock,
  });
  const store = openStore({ path: join(dir, 'store') }, { logger: quiet });
  const master = createSecretKey(randomBytes(32));
  const metrics = createMetrics();
  const hearing: Hearing = { sinceMs: 0, caughtUp: true };
  const control = createControl({
    log,
    table,
    store,
    census: { count: async (from) => from, backfillVirtualSite: async () => {} },
    clock,
    logger: quiet,
    metrics,
    hearing: () => hearing,
    tickMs: 100,
  });
  const api: Api = createApi({
    log: wrap(log),
    table,
    store,
    master,
    tls: null,
    listen: { host: '127.0.0.1', port: 0 },
    adminTokenHash: sha256(ADMIN_TOKEN).toString('hex'),
    webDir: join(dir, 'no-page'),
    dataDir: dir,
    version: '0.1.0',
    clock,
    logger: quiet,
    metrics,
    hearing: () => hearing,
    ...part,
  });
  await log.start();
  await table.start();
  await store.start();
  if (withControl) await control.start();
  const aggregator = createAggregator({
    log,
    table,
    store,
    master,
    clock,
    logger: quiet,
    metrics,
    spoolMaxAgeMs: 24 * 3_600_000,
  });
  const { url, oneTimeSignInUrl } = await api.start();
  const sockets: WebSocket[] = [];

  async function call(
    method: string,
    path: string,
    options: {
      body?: unknown;
      text?: string | undefined;
      token?: string | null;
      headers?: Record<string, string>;
    } = {},
  ): Promise<Answer> {
    const { body, token = ADMIN_TOKEN, headers = {} } = options;
    const text = options.text ?? (body === undefined ? null : JSON.stringify(body));
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(text !== null && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: text,
      redirect: 'manual',
    });
    const received = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(received) : received,
      text: received,
    };
  }

  function socket(path: string, protocols: string[], headers: Record<string, string> = {}): WebSocket {
    const opened = new WebSocket(url.replace('http', 'ws') + path, protocols, { headers });
    opened.on('error', () => {});
    sockets.push(opened);
    return opened;
  }

  return {
    dir,
    url,
    oneTimeSignInUrl,
    clock,
    log,
    table,
    store,
    master,
    metrics,
    hearing,
    aggregator,
    api,
    call,
    socket,
    async get<T>(path: string): Promise<T> {
      const { status, body, text } = await call('GET', path);
      if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
      // cast: answers are checked against their schemas in routes.test.ts
      return body as T;
    },
    /** Adds a site and joins it; gives its key. */
    async joined(site: string, labels: Record<string, string> = {}): Promise<Buffer> {
      const added = await call('POST', '/api/v1/sites', { body: { name: site, labels } });
      if (added.status !== 201) throw new Error(`POST sites: ${added.text}`);
      const secret = secretOf(added);
      const answer = await call('POST', '/api/v1/join', {
        token: null,
        body: { site, secret, instance: `instance-of-${site}`.slice(0, 64) },
      });
      const { body } = answer;
      if (typeof body !== 'object' || body === null || !('key' in body))
        throw new Error(`join: ${answer.text}`);
      return Buffer.from(String(body.key), 'base64url');
    },
    async say(...states: SiteState[]) {
      const entries = states.map((state) => ({ key: state.site, value: Buffer.from(JSON.stringify(state)) }));
      await table.write('state', entries);
    },
    /** A site's socket, before it has proved anything. */
    channel(site: string): WebSocket {
      return socket(`/api/v1/sites/${site}/channel`, [CHANNEL_SUBPROTOCOL]);
    },
    /** A site's socket that was welcomed. */
    async proven(site: string, key: Buffer): Promise<{ socket: WebSocket; inbox: Inbox<HubMessage> }> {
      const opened = socket(`/api/v1/sites/${site}/channel`, [CHANNEL_SUBPROTOCOL]);
      const inbox = inboxOf<HubMessage>(opened);
      const hello = await inbox.next((message) => message.type === 'hello');
      const nonce = hello.type === 'hello' ? hello.nonce : '';
      prove(opened, site, key, nonce);
      await inbox.next((message) => message.type === 'welcome');
      return { socket: opened, inbox };
    },
    live(headers: Record<string, string> = { authorization: `Bearer ${ADMIN_TOKEN}` }) {
      const opened = socket('/api/v1/live', [], headers);
      return { socket: opened, inbox: inboxOf<LiveMessage>(opened) };
    },
    /** Everything on a log so far. */
    async records(topic: TopicName, atLeast: number): Promise<LogRecord[]> {
      const group = `test-${randomBytes(4).toString('hex')}`;
      const subscription = await log.subscribe({
        group,
        topics: [topic],
        maxRecords: 10_000,
        maxWaitMs: 100,
      });
      const records: LogRecord[] = [];
      await until(`${atLeast} records on ${topic}`, async () => {
        const batch = await subscription.next();
        if (batch !== null) {
          records.push(...batch.records);
          await subscription.commit(batch);
        }
        return records.length >= atLeast;
      });
      await subscription.close();
      return records;
    },
    events(kind: string): Promise<RowOf<'event'>[]> {
      return store.query('SELECT * FROM plumbline.event FINAL WHERE kind = {kind:String} ORDER BY at', {
        kind,
      });
    },
    async figure(name: string): Promise<number> {
      const line = (await metrics.expose())
        .split('\n')
        .find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`));
      return Number(line?.split(' ').at(-1) ?? Number.NaN);
    },
    async close() {
      for (const one of sockets) one.terminate();
      await api.stop();
      await aggregator.stop();
      await control.stop();
      await store.stop();
      await table.stop();
      await log.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function prove(socket: WebSocket, site: string, key: Buffer, nonce: string): void {
  const proof = channelProof(keyFrom(key), site, nonce);
  socket.send(JSON.stringify({ type: 'prove', site, proof, instance: 'instance-of-a-test' }));
}

export function secretOf({ body }: Answer): string {
  // cast: see get()
  const decoded = decodeJoinToken((body as SiteInvitation).token);
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.token.secret;
}

export type Inbox<M> = {
  all: M[];
  /** The first message from here on that fits, waiting for it. */
  next(fits?: (message: M) => boolean): Promise<M>;
};

/** Every text message of a socket, parsed. */
export function inboxOf<M>(socket: WebSocket): Inbox<M> {
  const all: M[] = [];
  let read = 0;
  let wake = () => {};
  socket.on('message', (data, isBinary) => {
    // cast: see get()
    if (!isBinary) all.push(JSON.parse(data.toString()) as M);
    wake();
  });
  return {
    all,
    async next(fits = () => true) {
      for (;;) {
        while (read < all.length) {
          const message = all[read++];
          if (message !== undefined && fits(message)) return message;
        }
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const timer = setTimeout(() => reject(new Error('no message within 15 s')), 15_000);
        wake = resolve;
        await promise.finally(() => clearTimeout(timer));
      }
    },
  };
}

/** The code and reason a socket was closed with. */
export function closeOf(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
}

/** The status and problem with which an upgrade was refused. */
export function refusalOf(socket: WebSocket): Promise<{ status: number; code: string }> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error('it was opened')));
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          code: JSON.parse(Buffer.concat(chunks).toString()).code,
        }),
      );
    });
  });
}
