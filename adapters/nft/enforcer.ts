import { compile } from '../../core/dataplane/nftables/compile.ts';
import { differences } from '../../core/dataplane/nftables/differences.ts';
import { compileFaults } from '../../core/dataplane/nftables/faults.ts';
import type { Model } from '../../core/dataplane/nftables/model.ts';
import { observed } from '../../core/dataplane/nftables/observed.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Enforcer, EnforcerError, type Observed, type Wanted } from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import { dropHeld, readHeld, removeBootFile, writeBootFile, writeHeld } from './boot-file.ts';
import { type HeldNames, heldFor, knownOf, toLearn } from './held-names.ts';
import { createRun } from './run.ts';
import { KernelTable } from './table.ts';

const ATTEMPTS = 3;
/** How seldom the boot file is written for new addresses alone. */
const BOOT_FILE_EVERY_MS = 60_000;
const MAX_PENDING = 4096;

type Options = { run?: readonly [string, ...string[]]; bootFile?: string; clock: Clock; logger: Logger };

type Lookup = {
  host: string;
  addresses: readonly string[];
  keepS: number;
  done: () => void;
  failed: (error: unknown) => void;
};

/** What is in force by this process's doing, as far as it knows. */
type InForce = { model: Model; names: HeldNames };

/**
 * The kernel's nftables by way of the program nft; `run` is what to start in its place, with arguments before nft's own.
 * `bootFile` always holds what was applied last, for deploy/site/plumbline-enforce.service to load before there is a network;
 * withdrawing removes it. Calls are served one at a time, in order.
 */
export function createNftEnforcer(options: Options): Enforcer {
  return new NftEnforcer(options);
}

class NftEnforcer implements Enforcer {
  readonly dataplane = 'nftables';
  readonly #options: Options;
  readonly #table: KernelTable;
  #inForce: InForce | null = null;
  #lookups: Lookup[] = [];
  /** When the boot file was written; null when it does not hold what is in force. */
  #writtenAtMs: number | null = null;
  /** Addresses were learned since. */
  #isStale = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: Options) {
    this.#options = options;
    this.#table = new KernelTable(createRun(options.run ?? ['nft']));
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#table.check());
  }

  apply(wanted: Wanted): Promise<void> {
    return this.#inTurn(async () => {
      const [fault] = compileFaults(wanted.policies, wanted.workloads);
      if (fault !== undefined) throw new EnforcerError('rejected', `${fault.reason}; ${fault.remedy}`);
      const changed = await this.#reach(wanted);
      if (changed || this.#writtenAtMs === null) await this.#keep();
    });
  }

  observe(): Promise<Observed> {
    return this.#inTurn(async () => {
      const listed = await this.#table.list();
      if (this.#inForce === null) {
        const strange = listed === null ? [] : ['the table is there, though nothing was applied'];
        return { differences: strange, policies: [], flows: [], fullSets: [] };
      }
      const { model, names } = this.#inForce;
      const nowMs = this.#options.clock.monoMs();
      if (this.#isStale && nowMs - (this.#writtenAtMs ?? 0) >= BOOT_FILE_EVERY_MS) await this.#keep();
      return {
        differences: differences(model, listed, knownOf(names, nowMs)),
        ...observed(model, listed),
      };
    });
  }

  learn(host: string, addresses: readonly string[], keepS: number): Promise<void> {
    if (this.#lookups.length >= MAX_PENDING)
      return Promise.reject(new EnforcerError('busy', 'too many look-ups wait to be stored'));
    const stored = new Promise<void>((done, failed) => {
      this.#lookups.push({ host, addresses, keepS, done, failed });
    });
    if (this.#lookups.length === 1) void this.#inTurn(() => this.#storeAll());
    return stored;
  }

  hold(): Promise<void> {
    return this.#inTurn(async () => {
      const { bootFile } = this.#options;
      if (bootFile === undefined) return;
      const text = await this.#table.textNow();
      await onDisk(text === null ? dropHeld(bootFile) : writeHeld(bootFile, text), 'busy', 'kept aside');
    });
  }

  putBack(): Promise<boolean> {
    return this.#inTurn(async () => {
      const { bootFile, logger } = this.#options;
      const text = bootFile === undefined ? null : await onDisk(readHeld(bootFile), 'rejected', 'had back');
      if (text === null) return false;
      await this.#table.load(text);
      this.#inForce = null;
      this.#writtenAtMs = null;
      this.#isStale = false;
      await this.#write(text);
      logger.warn({}, 'nft.put_back');
      return true;
    });
  }

  withdraw(): Promise<void> {
    const { bootFile } = this.#options;
    return this.#inTurn(async () => {
      // First what would bring it back at the next start; a disk that fails must not hold the site to its policies.
      const left =
        bootFile === undefined ? null : await removeBootFile(bootFile).catch((error: Error) => error);
      await this.#table.remove();
      this.#inForce = null;
      this.#writtenAtMs = null;
      this.#isStale = false;
      if (left instanceof Error)
        throw new EnforcerError(
          'rejected',
          `${bootFile} is still there (${left.message}); remove it by hand`,
        );
    });
  }

  /** Leaves in force what is. */
  stop(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isStale) await this.#keep();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Whether anything had to be changed for it. */
  async #reach(wanted: Wanted): Promise<boolean> {
    const { clock, logger } = this.#options;
    const model = compile(wanted);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const listed = await this.#table.list();
      const nowMs = clock.monoMs();
      const left = this.#inForce === null ? listed : null;
      const names = heldFor(model, this.#inForce?.names ?? new Map(), wanted.names, left, nowMs);
      const isThere = listed !== null && differences(model, listed, knownOf(names, nowMs)).length === 0;
      // Somebody else may change the table between the listing and the transaction: then all of it begins again.
      if (!isThere && !(await this.#table.write(model, listed, names, nowMs))) continue;
      this.#inForce = { model, names };
      if (!isThere)
        logger.info({ revision: wanted.revision, policies: wanted.policies.length }, 'nft.applied');
      return !isThere;
    }
    throw new EnforcerError('busy', 'another process keeps changing the table; it is tried again');
  }

  /** All that came together goes to the kernel together. */
  async #storeAll(): Promise<void> {
    const batch = this.#lookups;
    this.#lookups = [];
    try {
      if (this.#inForce !== null) await this.#store(this.#inForce, batch);
    } catch (error) {
      for (const { failed } of batch) failed(error);
      return;
    }
    for (const { done } of batch) done();
  }

  async #store({ model, names }: InForce, batch: readonly Lookup[]): Promise<void> {
    const { clock, logger } = this.#options;
    const nowMs = clock.monoMs();
    const next = new Map(names);
    const learned = new Map<string, Map<string, number>>();
    const gone = new Map<string, string[]>();
    for (const { host, addresses, keepS } of batch) {
      const held = next.get(host);
      if (held === undefined) continue;
      const found = toLearn(held, addresses, Math.max(1, Math.round(keepS)), nowMs);
      const untils = [...found.addresses].map(([address, s]) => [address, nowMs + s * 1000] as const);
      const after = new Map([...held, ...untils]);
      const fresh = new Map([...(learned.get(host) ?? []), ...found.addresses]);
      for (const address of found.evicted) {
        after.delete(address);
        fresh.delete(address);
      }
      next.set(host, after);
      learned.set(host, fresh);
      if (found.evicted.length === 0) continue;
      logger.warn({ host, evicted: found.evicted.length }, 'nft.name_set_full');
      gone.set(host, [...(gone.get(host) ?? []), ...found.evicted.filter((address) => held.has(address))]);
    }
    if ([...learned.values()].every(({ size }) => size === 0)) return;
    await this.#table.learn(model, learned, gone);
    this.#inForce = { model, names: next };
    const isNew = (host: string, address: string) => names.get(host)?.has(address) !== true;
    if ([...learned].some(([host, found]) => [...found.keys()].some((address) => isNew(host, address))))
      this.#isStale = true;
  }

  async #keep(): Promise<void> {
    if (this.#inForce === null) return;
    const { model, names } = this.#inForce;
    const nowMs = this.#options.clock.monoMs();
    const isWritten = await this.#write(this.#table.wholeText(model, names, nowMs));
    this.#writtenAtMs = isWritten ? nowMs : null;
    if (isWritten) this.#isStale = false;
  }

  /** That it can't be written weakens only the next start of the machine: it is told, and what is in force stays. */
  async #write(text: string): Promise<boolean> {
    const { bootFile, logger } = this.#options;
    if (bootFile === undefined) return false;
    try {
      await writeBootFile(bootFile, text);
      return true;
    } catch (error) {
      logger.error(
        { error: error instanceof Error ? error.message : 'unknown' },
        'nft.boot_file_not_written',
      );
      return false;
    }
  }
}

async function onDisk<T>(work: Promise<T>, code: EnforcerError['code'], what: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    throw new EnforcerError(code, `what was in force can't be ${what} on the disk (${reason})`);
  }
}
