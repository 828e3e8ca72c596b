// A name server over UDP: answers A queries from a JSON file {"name": ["10.0.0.1"]}, which it reads anew for each one.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const [zoneFile, host] = process.argv.slice(2);
const TTL_S = 1;

/** The question's name and the bytes it takes after the header of 12. */
function question(query) {
  const labels = [];
  let at = 12;
  while (query[at] !== 0) {
    labels.push(query.subarray(at + 1, at + 1 + query[at]).toString('latin1'));
    at += query[at] + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

const socket = createSocket('udp4');
socket.on('message', (query, from) => {
  const { name, type, end } = question(query);
  const known = JSON.parse(readFileSync(zoneFile, 'utf8'))[name];
  const addresses = type === 1 ? (known ?? []) : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const answers = addresses.map((address) => {
    const answer = Buffer.alloc(16);
    answer.writeUInt16BE(0xc00c, 0);
    answer.writeUInt16BE(1, 2);
    answer.writeUInt16BE(1, 4);
    answer.writeUInt32BE(TTL_S, 6);
    answer.writeUInt16BE(4, 10);
    answer.set(address.split('.').map(Number), 12);
    return answer;
  });
  socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), from.port, from.address);
});
socket.bind(53, host, () => console.log('listening'));
