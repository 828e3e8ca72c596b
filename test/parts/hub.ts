import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Diagnosis, SiteDetail, SiteView } from '../../core/model/view.ts';
import { NODE, ROOT, type Running, run, until } from './process.ts';

const MAIN = [NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`];

export type HubOptions = {
  env?: Record<string, string>;
  /** Runs it in this namespace, listening on this address; on loopback otherwise. */
  namespace?: string;
  listen?: string;
  localSite?: boolean;
};

/** A hub as users run it: a process of its own, in a data directory of its own. */
export class Hub {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'plumbline-hub-'));
  readonly #options: HubOptions;
  #process: Running | null = null;
  #doorway: Running | null = null;
  #url: URL | null = null;

  constructor(options: HubOptions = {}) {
    this.#options = options;
  }

  get url(): string {
    return this.#url?.origin ?? '';
  }
  get token(): string {
    return readFileSync(join(this.dataDir, 'admin.token'), 'utf8').trim();
  }
  get pid(): number {
    return this.#process?.pid ?? -1;
  }
  output(): string {
    return this.#process?.output() ?? '';
  }

  /** Starts it, again on the same address after the first time, and resolves when it is ready. */
  async start(env: Record<string, string> = {}): Promise<void> {
    rmSync(join(this.dataDir, 'hub.url'), { force: true });
    this.#process = run([...MAIN, 'up'], {
      ...(this.#options.namespace !== undefined && { namespace: this.#options.namespace }),
      env: {
        PLUMBLINE_DATA_DIR: this.dataDir,
        PLUMBLINE_LISTEN: this.#url?.host ?? this.#options.listen ?? '127.0.0.1:0',
        PLUMBLINE_LOCAL_SITE: String(this.#options.localSite ?? false),
        ...this.#options.env,
        ...env,
      },
    });
    const started = this.#process;
    const file = join(this.dataDir, 'hub.url');
    await until(
      'the hub says where it listens',
      () => {
        if (started.exited()) throw new Error('it has ended');
        return existsSync(file) && readFileSync(file, 'utf8').trim() !== '';
      },
      60_000,
      () => started.output(),
    );
    this.#url = new URL(readFileSync(file, 'utf8').trim());
    if (this.#options.namespace !== undefined && this.#doorway === null)
      await this.#openDoorway(this.#options.namespace, this.#url);
    await until(
      'the hub is ready',
      async () => (await this.call('GET', '/readyz')).status === 200,
      60_000,
      () => started.output(),
    );
  }

  async #openDoorway(namespace: string, url: URL): Promise<void> {
    const doorway = run(
      [NODE, `${ROOT}test/parts/doorway.js`, join(this.dataDir, 'doorway'), url.hostname, url.port],
      { namespace },
    );
    this.#doorway = doorway;
    await until('the doorway is open', () => doorway.output().includes('open'));
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const url = this.#url;
    if (url === null) throw new Error('the hub has not been started');
    const secure = url.protocol === 'https:';
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
    const request = (secure ? httpsRequest : httpRequest)(
      {
        method,
        path,
        ...(this.#doorway
          ? { socketPath: join(this.dataDir, 'doorway') }
          : { host: url.hostname, port: url.port }),
        ...(secure && {
          ca: readFileSync(join(this.dataDir, 'hub.ca.pem')),
          servername: '',
          checkServerIdentity: () => undefined,
        }),
        headers: {
          authorization: `Bearer ${this.token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        timeout: 40_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = response.headers['content-type']?.includes('json') ?? false;
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer in 40 s')));
    request.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** GET that must succeed. */
  async get<T>(path: string): Promise<T> {
    const { status, body } = await this.call('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    // cast: the hub's answers are checked against these schemas in the API's own tests
    return body as T;
  }
  site(id: string): Promise<SiteDetail> {
    return this.get(`/api/v1/sites/${id}`);
  }
  async sites(): Promise<SiteView[]> {
    return (await this.get<{ items: SiteView[] }>('/api/v1/sites?limit=1000')).items;
  }
  doctor(): Promise<Diagnosis> {
    return this.get('/api/v1/doctor');
  }
  /** Registers a site and gives its join token. */
  async addSite(name: string, labels: Record<string, string> = {}): Promise<string> {
    const { status, body } = await this.call('POST', '/api/v1/sites', { name, labels });
    if (status >= 300) throw new Error(`POST /api/v1/sites: ${status} ${JSON.stringify(body)}`);
    // cast: see get()
    return (body as { token: string }).token;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal);
  }
  /** Stops it and keeps its data. */
  async halt(): Promise<void> {
    await this.kill('SIGTERM');
  }
  /** Stops it and removes its data. */
  async remove(): Promise<void> {
    await this.kill('SIGTERM');
    await this.#doorway?.kill('SIGKILL');
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

export type CollectorOptions = { namespace?: string; env?: Record<string, string>; config?: string };

/** A collector as site owners run it. */
export class Collector {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'plumbline-site-'));
  readonly #options: CollectorOptions;
  readonly #token: string;
  #process: Running | null = null;

  constructor(token: string, options: CollectorOptions = {}) {
    this.#token = token;
    this.#options = options;
  }
  get pid(): number {
    return this.#process?.pid ?? -1;
  }
  get exit(): Promise<number | null> {
    return this.#process?.exit ?? Promise.resolve(null);
  }
  output(): string {
    return this.#process?.output() ?? '';
  }
  start(env: Record<string, string> = {}): void {
    const config = this.#options.config;
    this.#process = run([...MAIN, 'collector', ...(config === undefined ? [] : ['--config', config])], {
      ...(this.#options.namespace !== undefined && { namespace: this.#options.namespace }),
      env: {
        PLUMBLINE_DATA_DIR: this.dataDir,
        PLUMBLINE_JOIN: this.#token,
        PLUMBLINE_INTERVAL: '1s',
        ...this.#options.env,
        ...env,
      },
    });
  }
  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal);
  }
  async remove(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
