import { closeSync, existsSync, fsyncSync, openSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';

const FILE = 'disarmed';

/** A file in the data directory that says, to every process and over restarts, that the site's owner has let go. */
export function createDisarmMarker(dataDir: string): {
  isSet(): boolean;
  set(): void;
  clear(): void;
  watch(listener: () => void): () => void;
} {
  const path = join(dataDir, FILE);
  return {
    isSet: () => existsSync(path),
    set() {
      const file = openSync(path, 'a', 0o600);
      fsyncSync(file);
      closeSync(file);
    },
    clear: () => rmSync(path, { force: true }),
    watch(listener) {
      const watcher = watch(dataDir, { persistent: false }, (_event, name) => {
        if (name === FILE) listener();
      });
      // The agent looks at the file once an interval too, so that a watch that fails costs only time.
      watcher.on('error', () => watcher.close());
      return () => watcher.close();
    },
  };
}
