import { mkdirSync } from 'node:fs';
import { ConfigError } from '../config.ts';

/** Makes the data directory, for its owner alone, when it is not there. Throws ConfigError where none can be. */
export function ensureDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ConfigError(
      `dataDir: ${dir} can't be a folder here (${code}); name another with --data-dir or PLUMBLINE_DATA_DIR`,
    );
  }
}
