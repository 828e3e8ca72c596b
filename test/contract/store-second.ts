import { openStore } from '../../adapters/clickhouse/open.ts';
import { StoreError } from '../../core/ports/store.ts';
import { silent } from './store-embedded.ts';

/** A process of its own that tries to open the store at the path it is given, and says what came of it. */
try {
  await openStore({ path: process.argv[2] ?? '' }, { logger: silent }).start();
  process.stdout.write('opened');
} catch (error) {
  process.stdout.write(error instanceof StoreError ? `${error.code} ${error.message}` : String(error));
}
process.exit(0);
