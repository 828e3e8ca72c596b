import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../adapters/clickhouse/open.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Store } from '../../core/ports/store.ts';

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

type Limits = NonNullable<Parameters<typeof openStore>[1]['limits']>;

/** A store in a directory of its own for as long as `use` runs. */
export async function withStore<R>(
  use: (store: Store, path: string) => Promise<R>,
  limits?: Limits,
): Promise<R> {
  const path = mkdtempSync(join(tmpdir(), 'plumbline-store-'));
  const store = openStore({ path }, { logger: silent, ...(limits && { limits }) });
  try {
    await store.start();
    return await use(store, path);
  } finally {
    await store.stop();
    rmSync(path, { recursive: true, force: true });
  }
}
