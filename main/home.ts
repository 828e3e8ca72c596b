import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../config-file.ts';
import type { Keyring } from '../core/policy/sign.ts';
import { ensureDataDir } from './data-dir.ts';
import { makeKeyLine, readKeyLine } from './policy-key.ts';

/** The files of a hub's data directory, all of them readable by their owner alone. */
export type Home = {
  /** From which every site's key is derived. Losing it makes every site join again. */
  readonly master: KeyObject;
  readonly adminToken: string;
  /** With which policy is signed. Losing it makes every site refuse what the hub signs with another. */
  readonly policyKeys: Keyring;
  /** Says where the hub listens, for the CLI on this machine. The CA too, when it speaks TLS. */
  announce(url: string, ca: string | null): void;
  unannounce(): void;
};

export function openHome(dataDir: string): Home {
  ensureDataDir(dataDir);
  // A damaged key is told now, not when the first policy is to be signed.
  keepKeys(join(dataDir, 'policy.key'), 0);
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
    policyKeys: { keys: (atLeast) => keepKeys(join(dataDir, 'policy.key'), atLeast) },
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

/** One key a line, oldest first; none is ever replaced. */
function keepKeys(path: string, atLeast: number): ReturnType<Keyring['keys']> {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  const missing = Array.from({ length: Math.max(0, atLeast - lines.length) }, makeKeyLine);
  if (missing.length > 0) writeWhole(path, `${[...lines, ...missing].join('\n')}\n`);
  return [...lines, ...missing].map((line) => {
    const key = readKeyLine(line);
    if (key !== null) return key;
    throw new ConfigError(
      `${path} is damaged; restore it from a backup, since sites refuse what is signed with another key`,
    );
  });
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
