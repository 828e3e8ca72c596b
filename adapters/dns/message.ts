import { canonicalAddress } from '../../core/policy/destination.ts';

/** RFC 1035 and 3596, as far as it takes to see which addresses an answer gives for the name that was asked for. */
const HEADER_BYTES = 12;
const TYPE = { a: 1, aaaa: 28 } as const;
const MAX_RECORDS = 512;
const MAX_LABELS = 128;

export type Answer = { host: string; addresses: string[]; ttlS: number };

/** Null for what is no answer with addresses, or can't be read: nothing is learned from it. */
export function addressesIn(message: Buffer): Answer | null {
  try {
    return read(message);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** A question answered with SERVFAIL, for when nobody else answers it. */
export function failureFor(query: Buffer): Buffer {
  const reply = Buffer.from(query);
  if (reply.length < HEADER_BYTES) return reply;
  reply.writeUInt8((reply.readUInt8(2) & 0x79) | 0x80, 2);
  reply.writeUInt8(0x80 | 2, 3);
  return reply;
}

function read(message: Buffer): Answer | null {
  if (message.length < HEADER_BYTES || (message.readUInt8(2) & 0x80) === 0) return null;
  if (message.readUInt16BE(4) !== 1) return null;
  const question = nameAt(message, HEADER_BYTES);
  let at = question.end + 4;
  const addresses: string[] = [];
  let ttlS = Number.POSITIVE_INFINITY;
  const records = Math.min(MAX_RECORDS, message.readUInt16BE(6));
  for (let i = 0; i < records; i += 1) {
    at = nameAt(message, at).end;
    const type = message.readUInt16BE(at);
    const length = message.readUInt16BE(at + 8);
    ttlS = Math.min(ttlS, message.readUInt32BE(at + 4));
    const data = message.subarray(at + 10, at + 10 + length);
    // Whatever stands between, aliases among it, leads from the name that was asked for to these addresses.
    if (type === TYPE.a && data.length === 4) addresses.push([...data].join('.'));
    if (type === TYPE.aaaa && data.length === 16) addresses.push(ofSixteen(data));
    at += 10 + length;
  }
  return addresses.length === 0 ? null : { host: question.name.toLowerCase(), addresses, ttlS };
}

function nameAt(message: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let end: number | null = null;
  let at = from;
  for (let i = 0; i < MAX_LABELS; i += 1) {
    const length = message.readUInt8(at);
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    if ((length & 0xc0) === 0xc0) {
      end ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
    } else {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
  throw new RangeError('a name that does not end');
}

function ofSixteen(data: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => data.readUInt16BE(2 * i).toString(16)).join(':');
  return canonicalAddress(groups)?.address ?? groups;
}
