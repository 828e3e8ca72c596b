// Under a user of its own, sends one datagram each to as many ports of a host as named.
import { createSocket } from 'node:dgram';

const [uid, host, count] = process.argv.slice(2);
process.setgroups([]);
process.setgid(Number(uid));
process.setuid(Number(uid));
const socket = createSocket('udp4');
// Refusals come back as errors of the socket.
socket.on('error', () => undefined);
for (let port = 10_000; port < 10_000 + Number(count); port++)
  await new Promise((resolve) => socket.send('x', port, host, resolve));
socket.close();
