/*
 * A stand-in for the hub, for states of the page that a real hub can't be brought to in a test's time: thousands of sites,
 * connections that break, versions that are skipped. It speaks the shapes of core/model/view.ts. What the page does with a
 * real hub is tested with a real hub.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { build } from 'vite';
import { type WebSocket, WebSocketServer } from 'ws';
import type { RolloutView } from '../../core/model/policy-view.ts';
import type { Role } from '../../core/model/role.ts';
import type { HubView, LiveMessage, LiveRequest, SiteView, VirtualSiteView } from '../../core/model/view.ts';
import { problem } from '../../core/problem.ts';
import { matches, parseSelector } from '../../core/selector.ts';
import { ROOT } from '../parts/process.ts';
import { madeUpDetail, madeUpEvents, madeUpHistory, madeUpSites, rollupOf } from './stand-in-fleet.ts';
import { madeUpDetailOf, madeUpRollout } from './stand-in-rollouts.ts';

/** As api/http/protect.ts sends it. */
const POLICY =
  "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const MIME: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

type Viewer = { socket: WebSocket; filter: NonNullable<LiveRequest['filter']> };

export class StandIn {
  readonly token = 'stand-in-token';
  /** Good once. */
  #codes = new Set(['stand-in-code']);
  #sessions = new Set<string>();
  #server: Server;
  #sockets = new WebSocketServer({ noServer: true });
  #viewers = new Set<Viewer>();
  #folder = mkdtempSync(join(tmpdir(), 'plumbline-page-'));
  #pulse: NodeJS.Timeout | null = null;
  #version = 1;
  sites: SiteView[];
  virtualSites: { name: string; selector: string }[] = [
    { name: 'prod', selector: 'env=prod' },
    { name: 'test', selector: 'env=test' },
  ];
  rollouts: RolloutView[] = [madeUpRollout(Date.now())];
  /** In whose role who signs in asks. */
  role: Role = 'admin';
  /** What was asked to be done with rollouts, as `promote payments`. */
  readonly moves: string[] = [];
  hub: Omit<HubView, 'nowMs'> = { version: '0.1.0', caughtUp: true, blind: null, troubles: [] };
  /** Connections are refused. */
  away = false;
  /** Connections stay, and nothing comes any more. */
  mute = false;
  /** What was asked for, in order. */
  readonly subscriptions: NonNullable<LiveRequest['filter']>[] = [];

  constructor(amount: number, seed = 1) {
    this.sites = madeUpSites(amount, seed, Date.now());
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => {
      if (this.away || !this.#isSignedIn(request)) {
        socket.end(`HTTP/1.1 ${this.away ? '503 Away' : '401 Unauthorized'}\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#attend(opened));
    });
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }
  get signInUrl(): string {
    return `${this.url}/signin#stand-in-code`;
  }
  get viewers(): number {
    return this.#viewers.size;
  }

  async start(): Promise<void> {
    await build({
      root: join(ROOT, 'web'),
      configFile: join(ROOT, 'web/vite.config.ts'),
      logLevel: 'error',
      build: { outDir: this.#folder, emptyOutDir: true },
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#pulse = setInterval(() => {
      this.#send(() => ({ type: 'pulse', version: this.#version, hub: this.#hubView() }));
    }, 1000);
  }

  async stop(): Promise<void> {
    if (this.#pulse !== null) clearInterval(this.#pulse);
    this.#pulse = null;
    this.drop();
    this.#sockets.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Changes sites and tells the viewers; `skipped` versions in between reach nobody. */
  change(sites: readonly SiteView[], skipped = 0): void {
    const from = this.#version + skipped;
    this.#version = from + 1;
    const changed = new Map(sites.map((site) => [site.id, site]));
    this.sites = [
      ...this.sites.map((site) => changed.get(site.id) ?? site),
      ...sites.filter((site) => !this.sites.some(({ id }) => id === site.id)),
    ];
    this.#send((viewer) => {
      const upsert = this.#selected(viewer.filter).filter((site) => changed.has(site.id));
      return {
        ...this.#common(viewer),
        type: 'delta',
        from,
        upsert,
        remove: sites.filter((site) => !upsert.includes(site)).map((site) => site.id),
      };
    });
  }

  /** Breaks every connection. */
  drop(): void {
    for (const { socket } of this.#viewers) socket.terminate();
    this.#viewers.clear();
  }

  /** Nobody is signed in any more. */
  endSessions(): void {
    this.#sessions.clear();
  }

  offerCode(code: string): string {
    this.#codes.add(code);
    return `${this.url}/signin#${code}`;
  }

  #attend(socket: WebSocket): void {
    const viewer: Viewer = { socket, filter: {} };
    socket.on('close', () => this.#viewers.delete(viewer));
    socket.on('message', (data) => {
      const request: LiveRequest = JSON.parse(String(data));
      viewer.filter = request.filter ?? {};
      this.subscriptions.push(viewer.filter);
      this.#viewers.add(viewer);
      if (this.mute) return;
      const snapshot: LiveMessage = {
        ...this.#common(viewer),
        type: 'snapshot',
        sites: this.#selected(viewer.filter),
      };
      socket.send(JSON.stringify(snapshot));
    });
  }

  #send(message: (viewer: Viewer) => LiveMessage): void {
    if (this.mute) return;
    for (const viewer of this.#viewers) viewer.socket.send(JSON.stringify(message(viewer)));
  }

  #common(viewer: Viewer) {
    return {
      version: this.#version,
      hub: this.#hubView(),
      rollup: rollupOf(this.#selected(viewer.filter)),
      virtualSites: this.virtualSites.map(
        ({ name, selector }): VirtualSiteView => ({
          name,
          selector,
          createdAtMs: 0,
          rollup: rollupOf(this.sites.filter((site) => site.virtualSites.includes(name))),
        }),
      ),
      rollouts: this.rollouts,
    };
  }

  #hubView(): HubView {
    return { ...this.hub, nowMs: Date.now() };
  }

  #selected({ virtualSite, selector }: Viewer['filter']): SiteView[] {
    const parsed = parseSelector(selector ?? '');
    return this.sites.filter(
      (site) =>
        (virtualSite === undefined || site.virtualSites.includes(virtualSite)) &&
        (!parsed.ok || matches(parsed.selector, site.labels)),
    );
  }

  #isSignedIn(request: IncomingMessage): boolean {
    return [...this.#sessions].some((session) => request.headers.cookie?.includes(session) ?? false);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    response.setHeader('content-security-policy', POLICY);
    response.setHeader('referrer-policy', 'no-referrer');
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === null ? '' : JSON.stringify(body));
    };
    const refuse = (code: 'unauthorized' | 'not-found') =>
      json(code === 'not-found' ? 404 : 401, problem(code, code));
    if (!url.pathname.startsWith('/api/')) return this.#serveFile(url.pathname, response);
    if (this.away) return void request.socket.destroy();
    const path = url.pathname.replace('/api/v1/', '');
    if (path === 'session' && request.method === 'POST') return this.#signIn(request, response, json);
    if (!this.#isSignedIn(request)) return refuse('unauthorized');
    if (path === 'session' && request.method === 'DELETE') {
      this.#sessions.clear();
      return json(204, null);
    }
    if (path === 'session') return json(200, { by: 'admin', role: this.role, expiresAtMs: null });
    if (path.startsWith('rollouts/')) return this.#answerRollout(path, request.method ?? '', json);
    if (path === 'events')
      return json(200, { items: madeUpEvents(url.searchParams.get('site'), Date.now()), next: null });
    const [, id, part] = path.split('/');
    const site = this.sites.find((one) => one.id === id);
    if (site === undefined) return refuse('not-found');
    if (part === undefined) return json(200, madeUpDetail(site, Date.now()));
    const [from, to, step] = ['from', 'to', 'step'].map((name) => Number(url.searchParams.get(name)));
    return json(200, madeUpHistory(site.id, from ?? 0, to ?? 0, step ?? 1));
  }

  async #answerRollout(
    path: string,
    method: string,
    json: (status: number, body: unknown) => void,
  ): Promise<void> {
    const [, , name = '', action = ''] = path.split('/');
    const rollout = this.rollouts.find((one) => one.name === name);
    if (rollout === undefined) return json(404, problem('not-found', `there is no rollout of ${name}`));
    if (method === 'GET') return json(200, madeUpDetailOf(rollout, Date.now()));
    this.moves.push(`${action} ${name}`);
    if (action === 'rollback') return json(409, problem('rollout-phase', 'there is nothing to roll back'));
    this.rollouts = [{ ...rollout, phase: 'paused', reason: 'paused by admin' }];
    this.change([]);
    return json(200, { effect: 'updated', kind: 'Rollout', name });
  }

  async #signIn(
    request: IncomingMessage,
    response: ServerResponse,
    json: (status: number, body: unknown) => void,
  ): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const proof: { code?: string; token?: string } = JSON.parse(text);
    const good = proof.token === this.token || (proof.code !== undefined && this.#codes.delete(proof.code));
    if (!good) return json(401, problem('unauthorized', 'not known'));
    const session = `session-${this.#sessions.size}-${Math.random().toString(36).slice(2)}`;
    this.#sessions.add(session);
    response.setHeader('set-cookie', `plumbline=${session}; HttpOnly; SameSite=Strict; Path=/`);
    return json(200, { by: 'admin', role: this.role, expiresAtMs: null });
  }

  #serveFile(path: string, response: ServerResponse): void {
    const file = extname(path) === '' ? '/index.html' : path;
    try {
      const bytes = readFileSync(join(this.#folder, file));
      response.writeHead(200, { 'content-type': MIME[extname(file)] ?? 'application/octet-stream' });
      response.end(bytes);
    } catch {
      response.writeHead(404);
      response.end();
    }
  }
}
