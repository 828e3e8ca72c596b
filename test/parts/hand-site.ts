import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { join } from '../../adapters/gateway/join.ts';
import { CHANNEL_SUBPROTOCOL, encodeReportFrame, type HubMessage, type Lane } from '../../core/channel.ts';
import { decodeJoinToken, type JoinToken } from '../../core/join-token.ts';
import type { FleetEvent } from '../../core/model/event.ts';
import type { Report } from '../../core/model/report.ts';
import { keyFrom, seal } from '../../core/seal.ts';
import { closeOf, type Inbox, inboxOf, prove } from '../api/door.ts';
import type { Hub } from './hub.ts';
import { until } from './process.ts';
import { report } from './report.ts';

type HandChannel = {
  socket: WebSocket;
  inbox: Inbox<HubMessage>;
  closed: Promise<{ code: number; reason: string }>;
};

/** A site driven by hand: it joins as a collector does, and then says whatever a test wants it to say. */
export class HandSite {
  readonly name: string;
  readonly key: Buffer;
  readonly #url: string;
  #frame = 0;

  constructor(name: string, key: Buffer, url: string) {
    this.name = name;
    this.key = key;
    this.#url = url;
  }

  static async join(hub: Hub, name: string): Promise<HandSite> {
    const token = readToken(await hub.addSite(name));
    const joined = await join({ token, instance: randomUUID() });
    if (!joined.ok) throw new Error(`${name} did not join: ${joined.detail}`);
    return new HandSite(name, Buffer.from(joined.key, 'base64url'), hub.url);
  }

  /** A socket on the channel of a site, this one's own unless told, before anything was proved. */
  dial(name = this.name): HandChannel {
    const address = `${this.#url.replace(/^http/, 'ws')}/api/v1/sites/${name}/channel`;
    const socket = new WebSocket(address, [CHANNEL_SUBPROTOCOL]);
    socket.on('error', () => {});
    return { socket, inbox: inboxOf<HubMessage>(socket), closed: closeOf(socket) };
  }

  /** A channel on which `key` was proved to be `name`'s, or was tried to. */
  async prove(name = this.name, key = this.key): Promise<HandChannel> {
    const channel = this.dial(name);
    const hello = await channel.inbox.next(({ type }) => type === 'hello');
    prove(channel.socket, name, key, hello.type === 'hello' ? hello.nonce : '');
    return channel;
  }

  async open(): Promise<HandChannel> {
    const channel = await this.prove();
    await channel.inbox.next(({ type }) => type === 'welcome');
    return channel;
  }

  /** Sends a frame and waits until the hub has it durably. */
  async send({ socket, inbox }: HandChannel, reports: readonly Uint8Array[], lane: Lane = 'live') {
    this.#frame += 1;
    const frame = this.#frame;
    socket.send(encodeReportFrame({ frame, lane, reports }));
    await inbox.next((message) => message.type === 'ack' && message.frame === frame);
  }

  /** A report on which all is well, made this moment. */
  report(seq: number, part: Partial<Report> = {}): Report {
    return report({ site: this.name, seq, ts: Date.now(), intervalMs: 1000, ...part });
  }

  /** As the site itself would seal it: text and bytes as they are, anything else as JSON. */
  seal(value: unknown): Buffer {
    const json = value instanceof Uint8Array || typeof value === 'string' ? value : JSON.stringify(value);
    return seal(keyFrom(this.key), Buffer.from(json));
  }
}

export function readToken(text: string): JoinToken {
  const decoded = decodeJoinToken(text);
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.token;
}

/** The hub's events of one site (or of no site: ''), newest first. */
async function eventsOf(hub: Hub, site: string, kind: FleetEvent['kind']): Promise<FleetEvent[]> {
  const filter = site === '' ? '' : `&site=${site}`;
  const page = await hub.get<{ items: FleetEvent[] }>(`/api/v1/events?limit=1000&kind=${kind}${filter}`);
  return page.items.filter((event) => event.site === site);
}

export function eventually(
  hub: Hub,
  site: string,
  kind: FleetEvent['kind'],
  says: RegExp,
): Promise<FleetEvent> {
  return until(
    `an event ${kind} of "${site}" that says ${says}`,
    async () => (await eventsOf(hub, site, kind)).find(({ message }) => says.test(message)),
    15_000,
    () => hub.output().slice(-3000),
  );
}

/** The sequence number of a site's newest report; 0 before its first. */
export async function newestOf(hub: Hub, site: string): Promise<number> {
  const { report: newest } = await hub.site(site);
  return newest === null ? 0 : Number(Reflect.get(newest, 'seq'));
}

/** That a well-behaved site is heard on, lacks nothing, and was told nothing by whatever others did. */
export async function expectUndisturbed(hub: Hub, site: string): Promise<void> {
  const before = await newestOf(hub, site);
  await until(`${site} goes on`, async () => {
    const { freshness } = (await hub.site(site)).site;
    return freshness === 'heard' && (await newestOf(hub, site)) > before + 1;
  });
  const { sites } = await hub.doctor();
  const ledger = sites.find((one) => one.site === site);
  if (ledger === undefined || ledger.missing + ledger.quarantined + ledger.gaps > 0)
    throw new Error(`${site} was disturbed: ${JSON.stringify(ledger)}`);
  for (const kind of [
    'report.quarantined',
    'report.conflict',
    'channel.refused',
    'channel.closed',
  ] as const) {
    const [event] = await eventsOf(hub, site, kind);
    if (event !== undefined) throw new Error(`${site} was blamed: ${event.message}`);
  }
}
