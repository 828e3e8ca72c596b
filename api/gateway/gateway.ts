import type { KeyObject } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { CLOSE, type ReportFrame, type SiteMessage } from '../../core/channel.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Log, LogError } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import { deriveSiteKey } from '../../core/seal.ts';
import type { Directory, DirectoryChange } from '../directory.ts';
import { InFlightBudget } from './budget.ts';
import { Channel, type ChannelHost } from './channel.ts';
import type { ChannelEvents } from './channel-events.ts';
import { Distributor } from './distributor.ts';
import type { Documents } from './documents.ts';

const MAX_CHANNELS = 20_000;
/** Connections that have not yet proved who they are. */
const MAX_UNPROVEN = 1000;
/** And those of one address, behind which there may be many sites. */
const MAX_UNPROVEN_AN_ADDRESS = 256;
const MAX_CHANNELS_A_SITE = 4;

/** Which names the codes have in metrics, events and the hub's log. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [CLOSE.unauthorized, 'unauthorized'],
  [CLOSE.removed, 'removed'],
  [CLOSE.malformed, 'malformed'],
  [CLOSE.replaced, 'replaced'],
  [CLOSE.overloaded, 'overloaded'],
  [CLOSE.tooBig, 'too-big'],
  [CLOSE.goingAway, 'going-away'],
]);

export type GatewayParts = {
  log: Log;
  master: KeyObject;
  directory: Directory;
  events: ChannelEvents;
  documents: Documents;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
};

/** All sites' channels: who is connected, and the way of their frames into the log. */
export class Gateway implements ChannelHost {
  readonly clock: Clock;
  readonly budget: InFlightBudget;
  readonly #parts: GatewayParts;
  /** Oldest first, each with its address and its socket. */
  readonly #unproven = new Map<Channel, { address: string; socket: WebSocket }>();
  /** Oldest first. */
  readonly #channels = new Map<string, Set<Channel>>();
  readonly #distributor: Distributor;
  readonly #stopWatching: () => void;
  readonly #showChannels: (value: number) => void;
  readonly #countEnded: (labels: Record<string, string>) => void;
  readonly #countReports: (labels: Record<string, string>, by: number) => void;
  #size = 0;

  constructor(parts: GatewayParts) {
    const { metrics } = parts;
    this.#parts = parts;
    this.clock = parts.clock;
    this.budget = new InFlightBudget(metrics);
    this.#distributor = new Distributor(parts.documents, parts.clock, metrics);
    this.#showChannels = metrics.gauge('plumbline_gateway_channels', 'Sites’ connections');
    this.#countEnded = metrics.counter('plumbline_gateway_ended_total', 'Connections that the hub ended', [
      'code',
    ]);
    this.#countReports = metrics.counter('plumbline_gateway_reports_total', 'Reports the log took', ['lane']);
    this.#stopWatching = parts.directory.onChange((changes) => this.#recheck(changes));
  }

  /** Whether it takes no further connection; the caller refuses it then. */
  get isFull(): boolean {
    return this.#size >= MAX_CHANNELS;
  }

  /** Who has proved nothing yet gives way to who comes, so that nobody can keep the fleet out by opening connections. */
  take(site: string, socket: WebSocket, raw: Duplex, address: string): void {
    const ofAddress = [...this.#unproven].filter(([, unproven]) => unproven.address === address);
    if (ofAddress.length >= MAX_UNPROVEN_AN_ADDRESS) this.#drop(ofAddress[0]?.[0]);
    else if (this.#unproven.size >= MAX_UNPROVEN) this.#drop(this.#unproven.keys().next().value);
    const channel = new Channel(site, socket, raw, this);
    this.#unproven.set(channel, { address, socket });
    socket.once('close', () => this.#forget(channel));
  }

  keyOf(site: string): { key: Buffer; keyEpoch: number } | null {
    const keyEpoch = this.#parts.directory.sites.get(site)?.spec.keyEpoch;
    return keyEpoch === undefined
      ? null
      : { key: deriveSiteKey(this.#parts.master, site, keyEpoch), keyEpoch };
  }

  /** Frames of both lanes at once; the log groups the appends of many sites into few writes. */
  async store(site: string, frames: readonly ReportFrame[]): Promise<boolean> {
    const of = (lane: ReportFrame['lane']) =>
      frames
        .flatMap((frame) => (frame.lane === lane ? frame.reports : []))
        .map((value) => ({ key: site, value }));
    const live = of('live');
    const held = of('backfill');
    try {
      await Promise.all([
        live.length > 0 && this.#parts.log.append('reports', live),
        held.length > 0 && this.#parts.log.append('backfill', held),
      ]);
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      this.#parts.logger.warn({ site, code: error.code, err: error }, 'gateway.log.refused');
      return false;
    }
    if (live.length > 0) this.#countReports({ lane: 'live' }, live.length);
    if (held.length > 0) this.#countReports({ lane: 'backfill' }, held.length);
    return true;
  }

  proven(channel: Channel): void {
    this.#unproven.delete(channel);
    const channels = this.#channels.get(channel.site) ?? new Set();
    this.#channels.set(channel.site, channels);
    channels.add(channel);
    this.#showChannels(++this.#size);
    const [oldest] = channels;
    if (channels.size > MAX_CHANNELS_A_SITE)
      oldest?.close(
        CLOSE.replaced,
        `a site has at most ${MAX_CHANNELS_A_SITE} channels, and a newer one came`,
      );
    this.#parts.logger.info({ site: channel.site, channels: channels.size }, 'gateway.channel.proven');
  }

  holds(channel: Channel, have: Extract<SiteMessage, { type: 'have' }>): void {
    this.#distributor.add(channel, have);
  }

  ended(channel: Channel, code: number, reason: string): void {
    const name = NAMES.get(code) ?? String(code);
    const { site } = channel;
    const wasProven = channel.keyEpoch !== null;
    this.#countEnded({ code: name });
    this.#parts.logger.warn({ site, code: name, reason, proven: wasProven }, 'gateway.channel.ended');
    // The end of a proven channel with its site is told as `site.removed`; who comes back after that is turned away.
    const isTold = code === CLOSE.goingAway || (code === CLOSE.removed && wasProven);
    if (!isTold) {
      const isKnown = this.#parts.directory.sites.has(site);
      this.#parts.events.say(
        wasProven ? 'channel.closed' : 'channel.refused',
        isKnown ? site : '',
        name,
        reason,
      );
    }
    this.#forget(channel);
  }

  stop(): void {
    this.#stopWatching();
    this.#distributor.stop();
    for (const channel of this.#all()) channel.close(CLOSE.goingAway, 'the hub stops; try again');
  }

  #recheck(changes: readonly DirectoryChange[]): void {
    for (const { kind, name } of changes) {
      if (kind !== 'Site') continue;
      const keyEpoch = this.#parts.directory.sites.get(name)?.spec.keyEpoch;
      for (const channel of this.#channels.get(name) ?? [])
        if (keyEpoch === undefined) channel.close(CLOSE.removed, `site ${name} was removed from the hub`);
        else if (channel.keyEpoch !== keyEpoch)
          channel.close(CLOSE.unauthorized, `site ${name} was invited anew; join with the new token`);
    }
  }

  #drop(oldest: Channel | undefined): void {
    if (oldest === undefined) return;
    const socket = this.#unproven.get(oldest)?.socket;
    oldest.close(CLOSE.overloaded, 'too many connections have proved nothing yet; try again');
    // It may not linger until the other side agrees.
    socket?.terminate();
  }

  #forget(channel: Channel): void {
    this.#unproven.delete(channel);
    this.#distributor.remove(channel);
    const channels = this.#channels.get(channel.site);
    if (channels?.delete(channel) !== true) return;
    if (channels.size === 0) this.#channels.delete(channel.site);
    this.#showChannels(--this.#size);
  }

  *#all(): IterableIterator<Channel> {
    yield* [...this.#unproven.keys()];
    for (const channels of [...this.#channels.values()]) yield* [...channels];
  }
}
