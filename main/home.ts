import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../config.ts';
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
        keepSecret(join(dataDir, 'hub.key'), /^[0-9a-f]{64}$/, () => randomBytes(32).toString('hex')),
        'hex',
      ),
    ),
    adminToken: keepSecret(
      join(dataDir, 'admin.token'),
      /^[\w-]{20,200}$/,
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

/** A damaged secret is not replaced and not used: an empty key would be everybody's. */
function keepSecret(path: string, form: RegExp, make: () => string): string {
  if (!existsSync(path)) writeWhole(path, `${make()}\n`);
  const secret = readFileSync(path, 'utf8').trim();
  if (form.test(secret)) return secret;
  throw new ConfigError(
    `${path} is damaged; restore it from a backup, or remove it to have a new one made (after a new hub.key every site has to join again)`,
  );
}

/** Readers see the file as it was or whole, never half. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
