import { join } from 'node:path';

/** Where a site keeps what it must not forget. */
export function spoolIn(dataDir: string): string {
  return join(dataDir, 'site', 'spool.sqlite');
}

/** What is loaded before the network where systemd is there (deploy/site). */
export function bootFileIn(dataDir: string): string {
  return join(dataDir, 'enforced.nft.json');
}
