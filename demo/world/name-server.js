// A name server over UDP: answers A and AAAA queries from a JSON file {"name": ["10.0.0.1", "fd77:0:0:0:0:0:0:1"]}, which it
// reads anew for each one. IPv6 addresses have all of their eight groups.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';

const [zoneFile, host] = process.argv.slice(2);
const TTL_S = 1;
const A = 1;
const AAAA = 28;

function bytesOf(address) {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  return Buffer.from(
    address.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16)]),
  );
}

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
  const addresses = (known ?? []).filter((address) => type === (address.includes(':') ? AAAA : A));
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const answers = addresses.map((address) => {
    const bytes = bytesOf(address);
    const answer = Buffer.alloc(12);
    answer.writeUInt16BE(0xc00c, 0);
    answer.writeUInt16BE(type, 2);
    answer.writeUInt16BE(1, 4);
    answer.writeUInt32BE(TTL_S, 6);
    answer.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([answer, bytes]);
  });
  socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), from.port, from.address);
});
socket.bind(53, host, () => console.log('listening'));
