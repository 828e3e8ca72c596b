// Runs inside a namespace: carries connections from a unix socket, which is reachable from everywhere, to a TCP address there.
import { connect, createServer } from 'node:net';

const [path, host, port] = process.argv.slice(2);
createServer((inner) => {
  const outer = connect(Number(port), host);
  inner.pipe(outer).pipe(inner);
  inner.on('error', () => outer.destroy());
  outer.on('error', () => inner.destroy());
}).listen(path, () => console.log('open'));
