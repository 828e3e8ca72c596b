import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDataDir } from './data-dir.ts';

/** The files of a hub's data directory, all of them readable by their owner alone. */
export type Home = {
  /** From which every site's key is derived. Losing it makes every site join again. */
  readonly master: KeyObject;
  readonly adminToken: string;
  /** Says where the hub listens, for the CLI on this machine. The CA too, when it speaks TLS. */
  announce(url: string, ca: string | null): void;
  unannounce(): void;
};

export function openHome(dataDir: string): Home {
  ensureDataDir(dataDir);
  return {
    master: createSecretKey(
      Buffer.from(
        keepSecret(join(dataDir, 'hub.key'), () => randomBytes(32).toString('hex')),
        'hex',
      ),
    ),
    adminToken: keepSecret(
      join(dataDir, 'admin.token'),
      () => `plt_${randomBytes(24).toString('base64url')}`,
    ),
    announce(url, ca) {
      if (ca !== null) writeWhole(join(dataDir, 'hub.ca.pem'), ca);
      else rmSync(join(dataDir, 'hub.ca.pem'), { force: true });
      writeWhole(join(dataDir, 'hub.url'), `${url}\n`);
    },
    unannounce() {
      rmSync(join(dataDir, 'hub.url'), { force: true });
    },
  };
}

function keepSecret(path: string, make: () => string): string {
  if (!existsSync(path)) writeWhole(path, `${make()}\n`);
  return readFileSync(path, 'utf8').trim();
}

/** Readers see the file as it was or whole, never half. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
