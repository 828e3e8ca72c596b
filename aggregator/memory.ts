import { Compile } from 'typebox/compile';
import { isNewer } from '../core/account.ts';
import { SiteState } from '../core/model/site-state.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { TableView } from '../core/ports/table.ts';

const siteState = Compile(SiteState);

/** How many identities of a site's newest boot are remembered; older ones are looked up in the store. */
const RECENT = 32;

/** What the loop remembers of a site; bounded, and rebuilt from table `state` and the store whenever it is forgotten. */
export type SiteMemory = {
  state: SiteState | null;
  /** The newest boot that was accepted on the live lane; empty before the first. */
  boot: string;
  /** Hashes by sequence number of `boot`, in the order they came. */
  recent: Map<number, string>;
  /** The largest sequence number of `boot` that came or that the store has; null until the store was asked. */
  newest: number | null;
  /** The state as it was last written, to tell our own change of the table from another's. */
  written: Uint8Array | null;
};

/** The one mutable state of the pipeline; only its loop touches it. */
export interface Memory {
  of(site: string): SiteMemory;
  /** What table `state` has of a site, remembered or not. */
  published(site: string): SiteState | null;
  /** `stored` is the largest number of this boot that the store has, where it was asked. */
  remember(memory: SiteMemory, boot: string, seq: number, hash: string, stored: number | undefined): void;
  /** Another aggregator has had some of the sites: what was known here may be old. */
  forget(): void;
  readonly size: number;
  close(): void;
}

export function createMemory(states: TableView, logger: Logger): Memory {
  const sites = new Map<string, SiteMemory>();
  const changed = new Set<string>();
  const stop = states.onChange((keys) => {
    for (const key of keys) if (sites.has(key)) changed.add(key);
  });

  function of(site: string): SiteMemory {
    const known = sites.get(site);
    if (known !== undefined && !changed.delete(site)) return known;
    const bytes = states.get(site);
    if (known !== undefined && bytes !== undefined && isOwn(known, bytes)) return known;
    const stored = bytes === undefined ? null : read(site, bytes);
    if (known?.state && stored !== null && !isNewer(stored, known.state)) return known;
    // New here, deleted, or somebody else moved it on while its partition was elsewhere.
    const fresh = { state: stored, boot: stored?.boot ?? '', recent: new Map(), newest: null, written: null };
    sites.set(site, fresh);
    return fresh;
  }

  /** A state that can't be read is as good as none: the next report makes another. */
  function read(site: string, bytes: Uint8Array): SiteState | null {
    const state: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (siteState.Check(state)) return state;
    logger.warn({ site }, 'aggregator.state.unreadable');
    return null;
  }

  function published(site: string): SiteState | null {
    const bytes = states.get(site);
    return bytes === undefined ? null : read(site, bytes);
  }

  return {
    of,
    published,
    remember,
    forget: () => sites.clear(),
    get size() {
      return sites.size;
    },
    close: stop,
  };
}

function isOwn(known: SiteMemory, bytes: Uint8Array): boolean {
  return known.written !== null && Buffer.compare(known.written, bytes) === 0;
}

function remember(
  memory: SiteMemory,
  boot: string,
  seq: number,
  hash: string,
  stored: number | undefined,
): void {
  if (memory.boot !== boot) {
    memory.boot = boot;
    memory.recent.clear();
    memory.newest = null;
  }
  memory.recent.set(seq, hash);
  const newest = memory.newest ?? stored ?? null;
  if (newest !== null) memory.newest = Math.max(newest, seq);
  for (const oldest of memory.recent.keys()) {
    if (memory.recent.size <= RECENT) break;
    memory.recent.delete(oldest);
  }
}
