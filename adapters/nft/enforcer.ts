import {
  type Dialect,
  learning,
  removal,
  transaction,
  wholeTable,
} from '../../core/dataplane/nftables/commands.ts';
import { compile } from '../../core/dataplane/nftables/compile.ts';
import { differences } from '../../core/dataplane/nftables/differences.ts';
import { compileFaults } from '../../core/dataplane/nftables/faults.ts';
import { FAMILY, TABLE } from '../../core/dataplane/nftables/identifiers.ts';
import { type Listing, readListing } from '../../core/dataplane/nftables/listing.ts';
import type { Model } from '../../core/dataplane/nftables/model.ts';
import { observed } from '../../core/dataplane/nftables/observed.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Enforcer, EnforcerError, type Observed, type Wanted } from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import { removeBootFile, writeBootFile } from './boot-file.ts';
import { raised } from './failure.ts';
import { type HeldNames, heldFor, keepsOf, knownOf, toLearn } from './held-names.ts';
import { createRun } from './run.ts';
import { SPECIMEN } from './specimen.ts';

const ATTEMPTS = 3;
/** How seldom the boot file is written for new addresses alone. */
const BOOT_FILE_EVERY_MS = 60_000;
const MAX_PENDING = 4096;

type Lookup = {
  host: string;
  addresses: readonly string[];
  keepS: number;
  done: () => void;
  failed: (e: unknown) => void;
};

/** What is in force by this process's doing, as far as it knows. */
type InForce = { model: Model; names: HeldNames };

/**
 * The kernel's nftables by way of the program nft. `bootFile` (`<data dir>/enforced.nft.json`) always holds what was applied
 * last, for deploy/site/plumbline-enforce.service to load before there is a network; withdrawing removes it. Calls are
 * served one at a time, in order.
 */
export function createNftEnforcer(options: {
  run?: readonly [string, ...string[]];
  bootFile?: string;
  clock: Clock;
  logger: Logger;
}): Enforcer {
  const { bootFile, clock, logger } = options;
  const run = createRun(options.run ?? ['nft']);
  let dialect: Dialect = { dynamicFlag: false };
  let inForce: InForce | null = null;
  let lookups: Lookup[] = [];
  let unwritten = false;
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  }

  async function list(): Promise<Listing | null> {
    const result = await run(['-j', 'list', 'table', FAMILY, TABLE]);
    if (result.ok) return readListing(result.stdout);
    if (result.stale) return null;
    throw raised(result);
  }

  async function load(text: string): Promise<void> {
    const result = await run(['-j', '-f', '-'], text);
    if (!result.ok) throw raised(result);
  }

  async function check(): Promise<void> {
    const model = compile(SPECIMEN);
    const names = keepsOf(heldFor(model, new Map(), SPECIMEN.names, null, 0), 0);
    for (const dynamicFlag of [true, false]) {
      dialect = { dynamicFlag };
      const result = await run(['-c', '-j', '-f', '-'], wholeTable(model, names, dialect));
      if (result.ok) return;
      if (dynamicFlag && result.code === 'rejected') continue;
      throw raised({ ...result, code: result.code === 'rejected' ? 'unsupported' : result.code });
    }
  }

  async function apply(wanted: Wanted): Promise<void> {
    const [fault] = compileFaults(wanted.policies, wanted.workloads);
    if (fault !== undefined) throw new EnforcerError('rejected', `${fault.reason}; ${fault.remedy}`);
    const model = compile(wanted);
    for (let attempt = 1; ; attempt++) {
      const listed = await list();
      const nowMs = clock.monoMs();
      const left = inForce === null ? listed : null;
      const names = heldFor(model, inForce?.names ?? new Map(), wanted.names, left, nowMs);
      if (listed !== null && differences(model, listed, knownOf(names, nowMs)).length === 0) {
        inForce = { model, names };
        if (!unwritten && Number.isFinite(writtenAtMs)) return;
        break;
      }
      const result = await run(['-j', '-f', '-'], transaction(model, listed, keepsOf(names, nowMs), dialect));
      if (result.ok) {
        inForce = { model, names };
        logger.info({ revision: wanted.revision, policies: wanted.policies.length }, 'nft.applied');
        break;
      }
      // Somebody else changed the table between the listing and the transaction.
      if (!result.stale || attempt === ATTEMPTS)
        throw raised({ ...result, code: result.stale ? 'busy' : result.code });
    }
    await keep();
  }

  async function observe(): Promise<Observed> {
    const listed = await list();
    if (inForce === null) {
      const empty = { policies: [], flows: [], fullSets: [] };
      return {
        ...empty,
        differences: listed === null ? [] : ['the table is there, though nothing was applied'],
      };
    }
    const { model, names } = inForce;
    if (unwritten && clock.monoMs() - writtenAtMs >= BOOT_FILE_EVERY_MS) await keep();
    return {
      differences: differences(model, listed, knownOf(names, clock.monoMs())),
      ...observed(model, listed),
    };
  }

  /** All that came together goes to the kernel together. */
  async function store(): Promise<void> {
    const batch = lookups;
    lookups = [];
    try {
      if (inForce !== null) await storeIn(inForce, batch);
    } catch (error) {
      for (const { failed } of batch) failed(error);
      return;
    }
    for (const { done } of batch) done();
  }

  async function storeIn({ model, names }: InForce, batch: readonly Lookup[]): Promise<void> {
    const nowMs = clock.monoMs();
    const next = new Map(names);
    const learned = new Map<string, Map<string, number>>();
    for (const { host, addresses, keepS } of batch) {
      const held = next.get(host);
      if (held === undefined) continue;
      const found = toLearn(held, addresses, Math.max(1, Math.round(keepS)), nowMs);
      if (found.full) logger.warn({ host }, 'nft.name_set_full');
      if ([...found.addresses.keys()].some((address) => !held.has(address))) unwritten = true;
      const untils = [...found.addresses].map(([address, s]) => [address, nowMs + s * 1000] as const);
      next.set(host, new Map([...held, ...untils]));
      learned.set(host, new Map([...(learned.get(host) ?? []), ...found.addresses]));
    }
    if ([...learned.values()].every(({ size }) => size === 0)) return;
    await load(learning(model, learned));
    inForce = { model, names: next };
  }

  /** That it can't be written weakens only the next start of the machine: it is told, and what is in force stays. */
  async function keep(): Promise<void> {
    if (bootFile === undefined || inForce === null) return;
    const nowMs = clock.monoMs();
    try {
      await writeBootFile(bootFile, wholeTable(inForce.model, keepsOf(inForce.names, nowMs), dialect));
      unwritten = false;
      writtenAtMs = nowMs;
    } catch (error) {
      logger.error(
        { error: error instanceof Error ? error.message : 'unknown' },
        'nft.boot_file_not_written',
      );
    }
  }

  return {
    dataplane: 'nftables',
    start: () => inTurn(check),
    apply: (wanted) => inTurn(() => apply(wanted)),
    observe: () => inTurn(observe),
    learn(host, addresses, keepS) {
      if (lookups.length >= MAX_PENDING)
        return Promise.reject(new EnforcerError('busy', 'too many look-ups wait to be stored'));
      const stored = new Promise<void>((done, failed) =>
        lookups.push({ host, addresses, keepS, done, failed }),
      );
      if (lookups.length === 1) void inTurn(store);
      return stored;
    },
    withdraw: () =>
      inTurn(async () => {
        // First what would bring it back at the next start; a disk that fails must not hold the site to its policies.
        const left =
          bootFile === undefined ? null : await removeBootFile(bootFile).catch((error: Error) => error);
        await load(removal());
        inForce = null;
        unwritten = false;
        writtenAtMs = Number.NEGATIVE_INFINITY;
        if (left instanceof Error)
          throw new EnforcerError(
            'rejected',
            `${bootFile} is still there (${left.message}); remove it by hand`,
          );
      }),
    stop: () =>
      inTurn(async () => {
        if (unwritten) await keep();
      }),
  };
}
