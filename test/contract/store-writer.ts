import { openStore } from '../../adapters/clickhouse/open.ts';
import { silent } from './store-embedded.ts';
import { fleetRows } from './store-rows.ts';

/** A process of its own that inserts the fleet's rows at the path it is given, cut as it is told, over and over, until it is killed. */
const [path = '', cut = '100'] = process.argv.slice(2);
const store = openStore({ path }, { logger: silent });
await store.start();
const rows = fleetRows();
for (;;)
  for (let at = 0; at < rows.length; at += Number(cut)) {
    await store.insert('report', rows.slice(at, at + Number(cut)));
    process.stdout.write('inserted\n');
  }
