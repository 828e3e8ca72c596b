// A process that appends and writes until it is killed, and says on standard output what was acknowledged.
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { silentLogger } from './silent-logger.ts';

const [, , dir = ''] = process.argv;
const { log, table } = openSqlite({
  dir,
  partitions: 4,
  retentionMs: 1e9,
  retentionBytes: 1e9,
  logger: silentLogger,
});
await log.start();
await table.start();
for (let i = 0; ; i += 10) {
  const some = Array.from({ length: 10 }, (_, k) => ({
    key: `site-${k}`,
    value: Buffer.from(String(i + k)),
  }));
  await Promise.all([
    log.append('reports', some),
    table.write('state', [{ key: 'n', value: Buffer.from(String(i)) }]),
  ]);
  process.stdout.write(`${i + 10}\n`);
}
