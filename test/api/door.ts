/** The api on real parts (SQLite, chDB, control, sockets), in a directory of its own. */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { type Aggregator, createAggregator } from '../../aggregator/aggregator.ts';
import { type Api, type ApiOptions, createApi } from '../../api/api.ts';
import { CHANNEL_SUBPROTOCOL, type HubMessage } from '../../core/channel.ts';
import type { Hearing } from '../../core/freshness.ts';
import { decodeJoinToken } from '../../core/join-token.ts';
import type { RowOf } from '../../core/model/rows.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { LiveMessage } from '../../core/model/view.ts';
import type { Log, LogRecord, TopicName } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Table } from '../../core/ports/table.ts';
import { channelProof, keyFrom, sha256 } from '../../core/seal.ts';
import { type Control, createControl } from '../../policy/control.ts';
import { createEvidence } from '../../policy/evidence/evidence.ts';
import { testKeyring } from '../parts/keyring.ts';
import { until } from '../parts/process.ts';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };
export const ADMIN_TOKEN = 'plt_the-administrators-own-token';
const HOUR_MS = 3_600_000;

export type Answer = { status: number; headers: Headers; body: unknown; text: string };
type Call = {
  body?: unknown;
  text?: string | undefined;
  token?: string | null;
  headers?: Record<string, string>;
};
type DoorOptions = Partial<ApiOptions> & {
  withControl?: boolean;
  wrap?: (log: Log) => Log;
  wrapTable?: (table: Table) => Table;
};

export async function openDoor(options: DoorOptions = {}): Promise<Door> {
  const door = new Door(options);
  await door.open();
  return door;
}

export class Door {
  readonly dir = mkdtempSync(join(tmpdir(), 'plumbline-api-'));
  readonly clock = movableClock();
  readonly hearing: Hearing = { sinceMs: 0, caughtUp: true };
  readonly log: Log;
  readonly table: Table;
  readonly store: Store;
  readonly aggregator: Aggregator;
  url = '';
  oneTimeSignInUrl = '';
  readonly #metrics = createMetrics();
  readonly #control: Control | null;
  readonly #api: Api;
  readonly #sockets: WebSocket[] = [];

  constructor({
    withControl = true,
    wrap = (log) => log,
    wrapTable = (table) => table,
    ...part
  }: DoorOptions) {
    const { clock, dir } = this;
    const common = { clock, logger: quiet, metrics: this.#metrics };
    const retention = { retentionMs: HOUR_MS, retentionBytes: 1e9 };
    const { log, table } = openSqlite({ dir, partitions: 2, ...retention, logger: quiet, clock });
    const store = openStore({ path: join(dir, 'store') }, { logger: quiet });
    const master: KeyObject = createSecretKey(randomBytes(32));
    const hearing = () => this.hearing;
    const census = { count: async <W>(from: W) => from, backfillVirtualSite: async () => {} };
    this.log = log;
    this.table = table;
    this.store = store;
    this.#control = withControl
      ? createControl({
          log,
          table,
          store,
          census,
          hearing,
          keyring: testKeyring(),
          evidence: createEvidence({ store }),
          tickMs: 100,
          ...common,
        })
      : null;
    this.aggregator = createAggregator({ log, table, store, master, spoolMaxAgeMs: 24 * HOUR_MS, ...common });
    this.#api = createApi({
      ...common,
      log: wrap(log),
      table: wrapTable(table),
      store,
      master,
      tls: null,
      listen: { host: '127.0.0.1', port: 0 },
      adminTokenHash: sha256(ADMIN_TOKEN).toString('hex'),
      webDir: join(dir, 'no-page'),
      dataDir: dir,
      version: '0.1.0',
      hearing,
      ...part,
    });
  }

  async open(): Promise<void> {
    for (const part of [this.log, this.table, this.store]) await part.start();
    await this.#control?.start();
    Object.assign(this, await this.#api.start());
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await this.#api.stop();
    await this.aggregator.stop();
    await this.#control?.stop();
    for (const part of [this.store, this.table, this.log]) await part.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async call(method: string, path: string, options: Call = {}): Promise<Answer> {
    const { body, token = ADMIN_TOKEN, headers = {} } = options;
    const sent = options.text ?? (body === undefined ? null : JSON.stringify(body));
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(sent !== null && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: sent,
      redirect: 'manual',
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
      text,
    };
  }

  /** GET that must succeed. */
  async get<T>(path: string): Promise<T> {
    const { status, body, text } = await this.call('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
    // cast: answers are checked against their schemas in routes.test.ts
    return body as T;
  }

  /** Adds a site and joins it; gives its key. */
  async joined(site: string, labels: Record<string, string> = {}): Promise<Buffer> {
    const added = await this.call('POST', '/api/v1/sites', { body: { name: site, labels } });
    const decoded = decodeJoinToken(fieldOf(added.body, 'token'));
    if (!decoded.ok) throw new Error(`${decoded.reason}: ${added.text}`);
    const { secret } = decoded.token;
    const instance = `instance-of-${site}`;
    const joined = await this.call('POST', '/api/v1/join', { token: null, body: { site, secret, instance } });
    return Buffer.from(fieldOf(joined.body, 'key'), 'base64url');
  }

  async say(...states: SiteState[]): Promise<void> {
    const entries = states.map((state) => ({ key: state.site, value: Buffer.from(JSON.stringify(state)) }));
    await this.table.write('state', entries);
  }

  socket(path: string, protocols: string[], headers: Record<string, string> = {}): WebSocket {
    const socket = new WebSocket(this.url.replace('http', 'ws') + path, protocols, { headers });
    socket.on('error', () => {});
    this.#sockets.push(socket);
    return socket;
  }

  /** A site's socket, before it has proved anything. */
  channel(site: string): WebSocket {
    return this.socket(`/api/v1/sites/${site}/channel`, [CHANNEL_SUBPROTOCOL]);
  }

  /** A site's socket that was welcomed. */
  async proven(site: string, key: Buffer): Promise<{ socket: WebSocket; inbox: Inbox<HubMessage> }> {
    const socket = this.channel(site);
    const inbox = inboxOf<HubMessage>(socket);
    const hello = await inbox.next(({ type }) => type === 'hello');
    prove(socket, site, key, hello.type === 'hello' ? hello.nonce : '');
    await inbox.next(({ type }) => type === 'welcome');
    return { socket, inbox };
  }

  live(headers: Record<string, string> = { authorization: `Bearer ${ADMIN_TOKEN}` }) {
    const socket = this.socket('/api/v1/live', [], headers);
    return { socket, inbox: inboxOf<LiveMessage>(socket) };
  }

  /** Everything on a log, once it is at least so much. */
  async records(topic: TopicName, atLeast: number): Promise<LogRecord[]> {
    const group = `test-${randomBytes(4).toString('hex')}`;
    const subscription = await this.log.subscribe({
      group,
      topics: [topic],
      maxRecords: 10_000,
      maxWaitMs: 100,
    });
    const records: LogRecord[] = [];
    await until(`${atLeast} records on ${topic}`, async () => {
      const batch = await subscription.next();
      if (batch === null) return records.length >= atLeast;
      records.push(...batch.records);
      await subscription.commit(batch);
      return false;
    });
    await subscription.close();
    return records;
  }

  events(kind: string): Promise<RowOf<'event'>[]> {
    return this.store.query('SELECT * FROM plumbline.event FINAL WHERE kind = {kind:String} ORDER BY at', {
      kind,
    });
  }

  async figure(name: string): Promise<number> {
    const lines = (await this.#metrics.expose()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? Number.NaN);
  }
}

/** A clock that runs, and can be set ahead. */
function movableClock() {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    monoMs: () => performance.now() + aheadMs,
    advance(byMs: number) {
      aheadMs += byMs;
    },
  };
}

export function fieldOf(body: unknown, name: string): string {
  return typeof body === 'object' && body !== null ? String(Reflect.get(body, name) ?? '') : '';
}

export function prove(socket: WebSocket, site: string, key: Buffer, nonce: string): void {
  const proof = channelProof(keyFrom(key), site, nonce);
  socket.send(JSON.stringify({ type: 'prove', site, proof, instance: 'instance-of-a-test' }));
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
    // cast: the hub's messages are checked against their schema in live.test.ts
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
        const timer = setTimeout(() => reject(new Error('no message within 30 s')), 30_000);
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

/** The status and problem code with which an upgrade was refused. */
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
