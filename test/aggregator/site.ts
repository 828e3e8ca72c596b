import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Report } from '../../core/model/report.ts';
import { resourceKey, type Site } from '../../core/model/resource.ts';
import type { LogRecord, TopicName } from '../../core/ports/log.ts';
import type { TableView } from '../../core/ports/table.ts';
import { deriveSiteKey, keyFrom, seal } from '../../core/seal.ts';

export const MASTER = createSecretKey(Buffer.alloc(32, 7));
export const SPOOL_MAX_AGE_MS = 24 * 3600_000;

export function keyOf(site: string, epoch = 1): KeyObject {
  return keyFrom(deriveSiteKey(MASTER, site, epoch));
}

export function sealed(said: unknown, key: KeyObject): Buffer {
  return seal(key, Buffer.from(JSON.stringify(said)));
}

/** A record as the log gives it: the report under its own site's key, received 100 ms after it was made. */
export function recordOf(said: Report, part: Partial<LogRecord> = {}): LogRecord {
  return {
    topic: 'reports',
    partition: 0,
    offset: 0,
    key: said.site,
    value: sealed(said, keyOf(said.site)),
    appendedAtMs: said.ts + 100,
    ...part,
  };
}

export const BACKFILL: { topic: TopicName } = { topic: 'backfill' };

export function siteResource(name: string, keyEpoch = 1): { key: string; value: Buffer } {
  const site: Site = {
    apiVersion: 'plumbline.io/v1',
    kind: 'Site',
    metadata: { name, uid: `uid-${name}`, createdAtMs: 1, updatedAtMs: 1, revision: 1, updatedBy: 'test' },
    spec: { labels: {}, labelsSinceMs: 1, keyEpoch },
  };
  return { key: resourceKey('Site', name), value: Buffer.from(JSON.stringify(site)) };
}

/** A view over a map that a test changes by hand. */
export function viewOf(entries: Record<string, Uint8Array> = {}): TableView & {
  put(key: string, value: Uint8Array): void;
} {
  const map = new Map(Object.entries(entries));
  const listeners = new Set<(keys: readonly string[]) => void>();
  return {
    get: (key) => map.get(key),
    entries: () => map.entries(),
    get size() {
      return map.size;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {},
    put(key, value) {
      map.set(key, value);
      for (const listener of listeners) listener([key]);
    },
  };
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} };
