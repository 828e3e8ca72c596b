import type { KeyObject } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { resourceKey, Site } from '../core/model/resource.ts';
import type { TableView } from '../core/ports/table.ts';
import { deriveSiteKey, keyFrom } from '../core/seal.ts';

const site = Compile(Site);
const SITE_PREFIX = resourceKey('Site', '');

export type Registered = { keyEpoch: number; key: KeyObject };

/** Which sites are registered, and the key of each, derived when first needed and again when its epoch changes. */
export interface Registry {
  find(site: string): Registered | null;
  close(): void;
}

export function createRegistry(resources: TableView, master: KeyObject): Registry {
  const known = new Map<string, Registered>();
  const stop = resources.onChange((keys) => {
    for (const key of keys) if (key.startsWith(SITE_PREFIX)) known.delete(key.slice(SITE_PREFIX.length));
  });

  function find(name: string): Registered | null {
    const cached = known.get(name);
    if (cached !== undefined) return cached;
    const bytes = resources.get(resourceKey('Site', name));
    if (bytes === undefined) return null;
    const resource: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (!site.Check(resource)) throw new Error(`resource Site/${name} has not the shape of a Site`);
    const { keyEpoch } = resource.spec;
    const registered = { keyEpoch, key: keyFrom(deriveSiteKey(master, name, keyEpoch)) };
    known.set(name, registered);
    return registered;
  }

  return { find, close: stop };
}
