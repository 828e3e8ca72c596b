import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { NAME_SET_SIZE } from '../../core/dataplane/nftables/compile.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Learned, NameResolver } from '../../core/ports/name-resolver.ts';
import type { Spool } from '../../core/ports/spool.ts';

export type NamesOptions = {
  /** As address:port; the host's own when absent. */
  servers?: readonly string[];
  memory: Pick<Spool, 'keep' | 'kept'>;
  clock: Clock;
  logger: Logger;
  hostsFile?: string;
};

/** What the local forwarder saw in an answer, before it gives it on. */
export type NameObserver = {
  observe(host: string, addresses: readonly string[], ttlS: number): Promise<void>;
};

const KEPT_AS = 'names/known';
const KEEP_MS = 24 * 3_600_000;
const TTL = { leastS: 5, mostS: 300 } as const;
const MAX_ASKING = 8;
const MAX_HOSTS = 1024;
/** The dataplane is told again of an address it knows once in a while, long before it would forget it. */
const RENEW_MS = 3_600_000;
const PATIENCE_MS = 3000;
const SAVE_EVERY_MS = 30_000;

const Kept = Compile(Type.Record(Type.String(), Type.Record(Type.String(), Type.Number())));

/** Addresses of one name, by when they were last seen in an answer and last told to the listener; that seen last is last. */
type Name = {
  addresses: Map<string, { seenAtMs: number; toldAtMs: number }>;
  dueAtMonoMs: number;
  asked: boolean;
};

export function createNameResolver(options: NamesOptions): NameResolver & NameObserver {
  return new Names(options);
}

class Names implements NameResolver, NameObserver {
  readonly #options: NamesOptions;
  readonly #resolver = new Resolver({ timeout: 2000, tries: 2 });
  readonly #names = new Map<string, Name>();
  readonly #byAddress = new Map<string, Set<string>>();
  readonly #asking = new Map<string, Promise<void>>();
  #wanted: ReadonlySet<string> = new Set();
  #listener: (learned: Learned) => Promise<void> = async () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #savedAtMonoMs = Number.NEGATIVE_INFINITY;
  #isDirty = false;

  constructor(options: NamesOptions) {
    this.#options = options;
    if (options.servers !== undefined) this.#resolver.setServers([...options.servers]);
    for (const [host, addresses] of read(options.memory))
      for (const [address, seenAtMs] of Object.entries(addresses).sort(([, a], [, b]) => a - b))
        this.#add(host, address, seenAtMs);
    this.#forgetStale();
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#plan();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#resolver.cancel();
    await Promise.allSettled(this.#asking.values());
    this.#save(true);
  }

  onLearned(listener: (learned: Learned) => Promise<void>): void {
    this.#listener = listener;
  }

  async watch(hosts: readonly string[]): Promise<void> {
    this.#wanted = new Set(hosts.slice(0, MAX_HOSTS));
    const fresh = [...this.#wanted].filter((host) => this.#names.get(host)?.asked !== true);
    for (const host of this.#wanted) this.#of(host);
    this.#plan();
    if (fresh.length === 0 || !this.#isRunning) return;
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, PATIENCE_MS);
    await Promise.race([patience.promise, this.#all(fresh)]);
    clearTimeout(timer);
  }

  known(): ReadonlyMap<string, readonly string[]> {
    return new Map([...this.#names].map(([host, { addresses }]) => [host, [...addresses.keys()]]));
  }

  readonly namesOf = (address: string): readonly string[] => [...(this.#byAddress.get(address) ?? [])];

  async observe(host: string, addresses: readonly string[], ttlS: number): Promise<void> {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (!this.#wanted.has(name)) return;
    this.#of(name).dueAtMonoMs = this.#options.clock.monoMs() + clamped(ttlS) * 1000;
    await this.#learn(name, addresses);
  }

  async #all(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) {
      while (this.#isRunning && this.#names.get(host)?.asked === false) {
        const running = this.#asking.get(host) ?? [...this.#asking.values()][0];
        if (running === undefined) break;
        await running;
      }
    }
  }

  /** Asks for what is due, as many at a time as are allowed, and sets the clock for the next. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (!this.#isRunning) return;
    const now = this.#options.clock.monoMs();
    const idle = [...this.#wanted].filter((host) => !this.#asking.has(host));
    for (const host of idle) {
      if (this.#asking.size >= MAX_ASKING) return;
      if (this.#of(host).dueAtMonoMs > now) continue;
      const asked = this.#ask(host).finally(() => {
        this.#asking.delete(host);
        this.#plan();
      });
      this.#asking.set(host, asked);
    }
    const next = Math.min(...idle.map((host) => this.#of(host).dueAtMonoMs));
    if (!Number.isFinite(next)) return;
    this.#timer = setTimeout(() => this.#plan(), Math.max(50, next - now));
    this.#timer.unref();
  }

  async #ask(host: string): Promise<void> {
    const name = this.#of(host);
    const answers = await Promise.allSettled([
      this.#fromHostsFile(host),
      this.#resolver.resolve4(host, { ttl: true }),
      this.#resolver.resolve6(host, { ttl: true }),
    ]);
    const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const ttlS = Math.min(...records.map(({ ttl }) => ttl), TTL.mostS);
    name.dueAtMonoMs =
      this.#options.clock.monoMs() + (records.length === 0 ? TTL.leastS : clamped(ttlS)) * 1000;
    name.asked = true;
    if (records.length > 0)
      await this.#learn(
        host,
        records.map(({ address }) => address),
      );
    this.#forgetStale();
    this.#save(false);
  }

  async #fromHostsFile(host: string): Promise<{ address: string; ttl: number }[]> {
    const text = await readFile(this.#options.hostsFile ?? '/etc/hosts', 'utf8');
    return text.split('\n').flatMap((line) => {
      const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
      const isIt = isIP(address) !== 0 && names.some((name) => name.toLowerCase() === host);
      return isIt ? [{ address, ttl: 60 }] : [];
    });
  }

  async #learn(host: string, addresses: readonly string[]): Promise<void> {
    const { clock, logger } = this.#options;
    const name = this.#of(host);
    const now = clock.nowMs();
    const due: string[] = [];
    let hasNew = false;
    for (const address of addresses) {
      const held = name.addresses.get(address);
      hasNew ||= held === undefined;
      if (held === undefined || now - held.toldAtMs >= RENEW_MS) due.push(address);
      this.#add(host, address, now, held?.toldAtMs);
    }
    this.#evict(host, name);
    if (due.length === 0) return;
    // What the dataplane has and the memory has not is nobody's, to whoever starts next.
    if (hasNew) this.#save(true);
    try {
      await this.#listener({ host, addresses: due, keepS: KEEP_MS / 1000 });
      for (const address of due) {
        const held = name.addresses.get(address);
        if (held !== undefined) held.toldAtMs = now;
      }
    } catch (error) {
      // Told again with the next answer.
      logger.warn({ host, why: error instanceof Error ? error.message : String(error) }, 'names.not-learned');
    }
  }

  #add(host: string, address: string, seenAtMs: number, toldAtMs = Number.NEGATIVE_INFINITY): void {
    const { addresses } = this.#of(host);
    addresses.delete(address);
    addresses.set(address, { seenAtMs, toldAtMs });
    const hosts = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, hosts.add(host));
    this.#isDirty = true;
  }

  /** Those longest unseen make room, as they do in the dataplane. */
  #evict(host: string, { addresses }: Name): void {
    let evicted = 0;
    for (const isSix of [false, true]) {
      const ofFamily = [...addresses.keys()].filter((address) => address.includes(':') === isSix);
      for (const address of ofFamily.slice(0, Math.max(0, ofFamily.length - NAME_SET_SIZE))) {
        this.#forget(host, address);
        evicted++;
      }
    }
    if (evicted === 0) return;
    this.#options.logger.warn({ host, evicted, most: NAME_SET_SIZE }, 'names.evicted');
  }

  #forget(host: string, address: string): void {
    this.#names.get(host)?.addresses.delete(address);
    const hosts = this.#byAddress.get(address);
    hosts?.delete(host);
    if (hosts?.size === 0) this.#byAddress.delete(address);
    this.#isDirty = true;
  }

  #of(host: string): Name {
    const known = this.#names.get(host);
    if (known !== undefined) return known;
    const name = { addresses: new Map(), dueAtMonoMs: Number.NEGATIVE_INFINITY, asked: false };
    this.#names.set(host, name);
    return name;
  }

  #forgetStale(): void {
    const now = this.#options.clock.nowMs();
    for (const [host, { addresses }] of this.#names) {
      for (const [address, { seenAtMs }] of addresses) {
        if (now - seenAtMs > KEEP_MS) this.#forget(host, address);
      }
      if (addresses.size === 0 && !this.#wanted.has(host)) this.#names.delete(host);
    }
  }

  #save(isForced: boolean): void {
    const { memory, clock, logger } = this.#options;
    const now = clock.monoMs();
    if (!this.#isDirty || (!isForced && now - this.#savedAtMonoMs < SAVE_EVERY_MS)) return;
    const entries = [...this.#names].map(([host, { addresses }]) => {
      const seen = [...addresses].map(([address, { seenAtMs }]) => [address, seenAtMs] as const);
      return [host, Object.fromEntries(seen)] as const;
    });
    try {
      memory.keep(KEPT_AS, JSON.stringify(Object.fromEntries(entries)));
      this.#savedAtMonoMs = now;
      this.#isDirty = false;
    } catch (error) {
      logger.error({ why: error instanceof Error ? error.message : String(error) }, 'names.not-kept');
    }
  }
}

function clamped(ttlS: number): number {
  return Math.max(TTL.leastS, Math.min(TTL.mostS, ttlS));
}

function read(memory: NamesOptions['memory']): [string, Record<string, number>][] {
  try {
    const value: unknown = JSON.parse(memory.kept(KEPT_AS) ?? '{}');
    return Kept.Check(value) ? Object.entries(value) : [];
  } catch {
    return [];
  }
}
