// A workload: under a user of its own it opens a new connection to each of its targets again and again, and says on each
// line how often that went well or not so far. Targets come as JSON lines on standard input: [{"host": "api.example", "port": 80}].
import { Resolver } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { createInterface } from 'node:readline';

const [uid, everyMs, ...resolvers] = process.argv.slice(2);
process.setgroups([]);
process.setgid(Number(uid));
process.setuid(Number(uid));

const names = new Resolver({ timeout: 500, tries: 2 });
names.setServers(resolvers);
let targets = [];
const counts = {};

async function visit({ host, port }) {
  counts[`${host}:${port}`] ??= { ok: 0, refused: 0, failed: 0 };
  const counted = counts[`${host}:${port}`];
  const [address] = isIP(host) ? [host] : await names.resolve4(host).catch(() => []);
  if (address === undefined) {
    counted.failed++;
    return;
  }
  const outcome = await new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 1000 });
    socket.once('connect', () => resolve('ok'));
    socket.once('timeout', () => resolve('failed'));
    socket.once('error', (error) => resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'failed'));
    socket.once('close', () => resolve('failed'));
    socket.once('connect', () => socket.destroy());
    socket.once('timeout', () => socket.destroy());
  });
  counted[outcome]++;
}

async function round() {
  await Promise.all(targets.map(visit));
  console.log(JSON.stringify(counts));
  setTimeout(round, Number(everyMs));
}
createInterface({ input: process.stdin })
  .on('line', (line) => {
    targets = JSON.parse(line);
  })
  // Whoever said where to go is gone; the kernel does not end this one, since it has become another user.
  .on('close', () => process.exit());
void round();
