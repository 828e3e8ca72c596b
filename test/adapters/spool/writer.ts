// Puts reports into the spool given as its argument until it is killed, and says each number once it is held.
import { writeSync } from 'node:fs';
import { openSpool } from '../../../adapters/sqlite/spool.ts';

const spool = openSpool({ path: process.argv[2] ?? '', maxBytes: 1e9, maxAgeMs: 1e12 });
await spool.start();
const { boot } = spool.beginBoot();
writeSync(1, `boot ${boot}\n`);
for (let seq = 1; ; seq += 1) {
  spool.put({ position: { boot, seq }, sealed: Buffer.alloc(1000 + (seq % 7) * 500, seq), madeAtMs: seq });
  writeSync(1, `held ${seq}\n`);
  if (seq % 5 === 0) {
    spool.forget([{ boot, seq: seq - 2 }]);
    spool.keep('text', `after ${seq}`);
    writeSync(1, `forgot ${seq - 2}\n`);
  }
}
