import { accessSync, constants, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../config-file.ts';

/** Makes the data directory, for its owner alone, when it is not there. Throws ConfigError where none can be. */
export function ensureDataDir(dir: string): void {
  // Making folders in a kernel's own file system does not end.
  if (/^\/(proc|sys|dev)\//.test(`${resolve(dir)}/`) && !resolve(dir).startsWith('/dev/shm/'))
    throw new ConfigError(
      `dataDir: ${dir} belongs to the kernel; name another with --data-dir or PLUMBLINE_DATA_DIR`,
    );
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.W_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ConfigError(
      `dataDir: ${dir} can't be a folder here (${code}); name another with --data-dir or PLUMBLINE_DATA_DIR`,
    );
  }
}
