// Listens with a short queue and says its port. Stopped by SIGSTOP it accepts nothing, so that the kernel, once the queue
// is full, drops every SYN: as a firewall would that drops packets.
import { createServer } from 'node:net';

const server = createServer();
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
