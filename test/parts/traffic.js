// Makes and answers connections, as it is told on standard input, one JSON object a line; answers likewise. Runs as the user
// given by arguments, in whatever network namespace it was started in.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const [user] = process.argv.slice(2).map(Number);
if (user > 0) {
  process.setgroups([]);
  process.setgid(user);
  process.setuid(user);
}
// Only what never comes takes that long, however busy the machine is.
const WITHIN_MS = 15_000;
const held = new Map();

const deeds = {
  listen: ({ address, port }) =>
    new Promise((resolve, reject) => {
      createServer((socket) => socket.on('error', () => {}).pipe(socket))
        .on('error', reject)
        .listen(port, address, () => resolve('listening'));
    }),
  answer: ({ address, port }) =>
    new Promise((resolve, reject) => {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (text, from) => socket.send(text, from.port, from.address));
      socket.on('error', reject).bind(port, address, () => resolve('listening'));
    }),
  // Connects; the connection is held when it is given a name, and reset otherwise, so that its port is free at once.
  connect: ({ address, port, from, hold }) =>
    new Promise((resolve) => {
      const socket = connect({ host: address, port, ...(from === undefined ? {} : { localPort: from }) });
      const late = setTimeout(() => end('timeout'), WITHIN_MS);
      const end = (outcome) => {
        clearTimeout(late);
        if (hold === undefined || outcome !== 'connected') socket.resetAndDestroy();
        resolve(outcome);
      };
      socket.on('error', ({ code }) => end(code)).on('connect', () => end('connected'));
      if (hold !== undefined) held.set(hold, socket);
    }),
  echo: ({ hold }) =>
    new Promise((resolve) => {
      const socket = held.get(hold);
      const late = setTimeout(() => resolve('timeout'), WITHIN_MS);
      const end = (outcome) => {
        clearTimeout(late);
        resolve(outcome);
      };
      socket.once('data', () => end('echoed')).once('error', ({ code }) => end(code));
      socket.write('x');
    }),
  send: ({ address, port }) =>
    new Promise((resolve) => {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      const late = setTimeout(() => end('timeout'), WITHIN_MS);
      const end = (outcome) => {
        clearTimeout(late);
        socket.close();
        resolve(outcome);
      };
      socket.on('message', () => end('answered')).on('error', ({ code }) => end(code));
      socket.connect(port, address, () => socket.send('x', (error) => error && end(error.code)));
    }),
  // Four datagrams of one socket, whatever is answered.
  repeat: async ({ address, port }) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.bind(0, resolve));
    for (let i = 0; i < 4; i++) await new Promise((resolve) => socket.send('x', port, address, resolve));
    socket.close();
    return 'sent';
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, deed, ...rest } = JSON.parse(line);
    const began = performance.now();
    const outcome = await deeds[deed](rest).catch((error) => error.code ?? String(error));
    console.log(JSON.stringify({ id, outcome, tookMs: performance.now() - began }));
  })
  .on('close', () => process.exit(0));
