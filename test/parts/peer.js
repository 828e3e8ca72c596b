// A peer that sites have links to: answers 200, or 500 while the file named first exists.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';

const [failing, host, port] = process.argv.slice(2);
createServer((_request, response) => {
  response.statusCode = existsSync(failing) ? 500 : 200;
  response.end('hello');
}).listen(Number(port), host, () => console.log('listening'));
