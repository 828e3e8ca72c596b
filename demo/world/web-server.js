// Answers on the ports named, on every address: HTTP 200 to whoever asks.
import { createServer } from 'node:http';

const ports = process.argv.slice(2).map(Number);
let open = 0;
for (const port of ports)
  createServer((_request, response) => response.end('hello')).listen(port, () => {
    open++;
    if (open === ports.length) console.log('listening');
  });
