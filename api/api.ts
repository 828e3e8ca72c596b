import type { KeyObject } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import type { Hearing } from '../core/freshness.ts';
import type { HubView } from '../core/model/view.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table, TableView } from '../core/ports/table.ts';
import { Commands } from './commands.ts';
import { Directory } from './directory.ts';
import { bracketed, reachableName } from './entrance.ts';
import { ChannelEvents } from './gateway/channel-events.ts';
import { Documents } from './gateway/documents.ts';
import { Gateway } from './gateway/gateway.ts';
import type { App } from './http/app.ts';
import { type AppParts, buildApp } from './http/build.ts';
import { Fleet } from './live/fleet.ts';
import { Live } from './live/live.ts';
import type { Recompute } from './policy/decisions.ts';
import { Attempts } from './sign-in/attempts.ts';
import { SessionCookies } from './sign-in/session-cookie.ts';
import { SignIn } from './sign-in/sign-in.ts';
import { Upgrades } from './upgrade.ts';

/** A stretch in which the hub heard nobody is shown for this long. */
const BLIND_SHOWN_MS = 3_600_000;

export type ApiOptions = {
  log: Log;
  table: Table;
  store: Store;
  master: KeyObject;
  /** PEM: the chain to serve and its key, its CA and that one's pin. Null only on loopback. */
  tls: { key: string; cert: string; ca: string | null; pin: string | null } | null;
  listen: { host: string; port: number };
  /** The address that join tokens carry, when sites reach the hub under another one than it listens at. */
  publicUrl?: string;
  /** Hex SHA-256 of the administrator's token. */
  adminTokenHash: string;
  /** The built page. */
  webDir: string;
  /** Whose disk space the doctor looks at. */
  dataDir?: string;
  version: string;
  mode?: 'embedded' | 'distributed';
  /** How long a caller waits for control's answer; 10 s unless told. */
  answerWithinMs?: number;
  clock: Clock;
  logger: Logger;
  metrics: Metrics & { expose(): Promise<string>; contentType: string };
  hearing: () => Hearing;
  /** Asks the stored rows for the verdict on a stage again; without it that can't be asked for. */
  recompute?: Recompute;
};

export type Api = {
  /** Resolves once it listens, and its views are caught up. */
  start(): Promise<{ url: string; oneTimeSignInUrl: string }>;
  /** Idempotent. Sites and viewers are told; what was not acknowledged stays with the sites. */
  stop(): Promise<void>;
};

/** What exists while the api runs. */
type Running = {
  app: App;
  views: TableView[];
  directory: Directory;
  fleet: Fleet;
  documents: Documents;
  commands: Commands;
  events: ChannelEvents;
  gateway: Gateway;
  live: Live;
  upgrades: Upgrades;
};

/** The hub's one door: REST, the live view, sign-in, and the gateway of the sites. */
export function createApi(options: ApiOptions): Api {
  const { clock, logger, master, metrics, publicUrl, tls } = options;
  let running: Running | null = null;
  let url = '';
  const signIn = new SignIn({
    cookies: new SessionCookies(master),
    directory: () => {
      if (running === null) throw new Error('the api does not run');
      return running.directory;
    },
    adminTokenHash: options.adminTokenHash,
    clock,
  });
  const attempts = new Attempts(metrics);
  const scheme = tls === null ? 'http' : 'https';
  let reachableUrl = '';
  const entrance = () => ({ url: publicUrl ?? reachableUrl, pin: tls?.pin ?? null });

  return {
    async start() {
      running ??= await compose(options, { signIn, attempts, entrance });
      const { server } = running.app;
      server.on('upgrade', running.upgrades.take);
      const { host, port } = options.listen;
      await running.app.listen({ host, port });
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('the api listens on no port');
      url = `${scheme}://${openableName(host)}:${address.port}`;
      const machine = { interfaces: networkInterfaces(), hostname: hostname() };
      reachableUrl = `${scheme}://${reachableName(host, machine)}:${address.port}`;
      signIn.listeningAt(address.port, [url, new URL(publicUrl ?? url).origin]);
      logger.info({ url }, 'api.listening');
      return { url, oneTimeSignInUrl: `${publicUrl ?? url}/signin#${signIn.adminCode()}` };
    },
    async stop() {
      const stopped = running;
      running = null;
      if (stopped !== null) await end(stopped);
    },
  };
}

async function compose(
  options: ApiOptions,
  door: Pick<AppParts, 'signIn' | 'attempts' | 'entrance'>,
): Promise<Running> {
  const { log, table, store, master, clock, hearing, logger, metrics, tls, version } = options;
  const resources = await table.view('resources');
  const states = await table.view('state');
  const specs = await table.view('specs');
  const targets = await table.view('targets');
  const documents = new Documents({ specs, targets }, logger);
  const directory = new Directory(resources, logger);
  const fleet = new Fleet({ directory, states, clock, hearing, logger });
  const commands = new Commands(log, resources, clock, options.answerWithinMs);
  const events = new ChannelEvents({ store, clock, logger, metrics });
  const gateway = new Gateway({ log, master, directory, documents, events, clock, logger, metrics });
  const hub = () => hubView(version, directory, hearing(), clock.nowMs());
  const live = new Live({ fleet, hub, logger, metrics });
  const upgrades = new Upgrades({ live, gateway, signIn: door.signIn });
  const app = await buildApp({
    ...options,
    ...door,
    mode: options.mode ?? 'embedded',
    dataDir: options.dataDir ?? null,
    secure: tls !== null,
    fleet: () => fleet,
    directory: () => directory,
    commands: () => commands,
    specs: () => specs,
    recompute: options.recompute ?? null,
  });
  return {
    app,
    views: [resources, states, specs, targets],
    directory,
    fleet,
    documents,
    commands,
    events,
    gateway,
    live,
    upgrades,
  };
}

/** In the order that lets everybody who is connected hear of it, and nothing be written after it is closed. */
async function end(stopped: Running): Promise<void> {
  stopped.live.stop();
  stopped.gateway.stop();
  stopped.commands.close();
  await stopped.upgrades.stop();
  await stopped.app.close();
  await stopped.events.stop();
  stopped.fleet.close();
  stopped.documents.close();
  stopped.directory.close();
  for (const view of stopped.views) await view.close();
}

/** Where it listens, as a name that can be opened on this machine: every-interface addresses become loopback. */
function openableName(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : bracketed(host);
}

function hubView(version: string, { hub }: Directory, { caughtUp }: Hearing, nowMs: number): HubView {
  const blind = hub?.spec.blind ?? null;
  return {
    version,
    nowMs,
    caughtUp,
    blind: blind !== null && nowMs - blind.toMs < BLIND_SHOWN_MS ? blind : null,
    troubles: hub?.spec.troubles ?? [],
  };
}
