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

/** Keeps a connection, and how it ended once it has. */
function keep(name, socket, say) {
  const ended = new Promise((resolve) => {
    socket.once('error', ({ code }) => resolve(code)).once('close', () => resolve('closed'));
  });
  held.set(name, { socket, say, ended });
}

function within(promise) {
  let late;
  const patience = new Promise((resolve) => {
    late = setTimeout(() => resolve('timeout'), WITHIN_MS);
  });
  return Promise.race([promise, patience]).finally(() => clearTimeout(late));
}

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
      if (hold !== undefined) keep(hold, socket, () => socket.write('x'));
    }),
  // The same over UDP, of a socket that has this peer only, and whose peer answered once.
  converse: ({ address, port, hold }) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const say = () => socket.send('x');
    keep(hold, socket, say);
    socket.connect(port, address, say);
    return within(
      Promise.race([
        held.get(hold).ended,
        new Promise((resolve) => socket.once('message', () => resolve('answered'))),
      ]),
    );
  },
  echo: ({ hold }) => {
    const { socket, say, ended } = held.get(hold);
    const answered = new Promise((resolve) => {
      for (const event of ['data', 'message']) socket.once(event, () => resolve('echoed'));
    });
    say();
    return within(Promise.race([answered, ended]));
  },
  // How a connection that is held ends, as its user is told.
  end: ({ hold }) => within(held.get(hold).ended),
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
