import { isIPv4, isIPv6 } from 'node:net';

/** An address or a network as a number, so that containment is arithmetic. A network has no host bits set. */
export type Address = { family: 4 | 6; value: bigint };
export type Network = Address & { length: number };

/** Null when it is none; a zone (`%eth0`) is part of no address. */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { family: 4, value: ofParts(text.split('.').map(Number), 8n) };
  if (!isIPv6(text) || text.includes('%')) return null;
  const [head = '', tail] = text.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const middle = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return { family: 6, value: ofParts([...before, ...middle, ...after], 16n) };
}

/** An address and a prefix length. Host bits may be set: `networkOf` clears them. */
export function parsePrefix(text: string): Network | null {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  const address = parseAddress(match?.[1] ?? '');
  const length = Number(match?.[2]);
  return address === null || length > width(address.family) ? null : { ...address, length };
}

export function networkOf({ family, value, length }: Network): Network {
  const shift = BigInt(width(family) - length);
  return { family, value: (value >> shift) << shift, length };
}

/** As RFC 5952 writes it, with hexadecimal groups only. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return toParts(value, 4, 8n).join('.');
  const hex = toParts(value, 8, 16n).map((part) => part.toString(16));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (hex[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return hex.join(':');
  return `${hex.slice(0, best.at).join(':')}::${hex.slice(best.at + best.length).join(':')}`;
}

export function formatNetwork(network: Network): string {
  return `${formatAddress(network)}/${network.length}`;
}

export function width(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** Whether every address of `inner` is one of `outer`. */
export function covers(outer: Network, inner: Network): boolean {
  return (
    outer.family === inner.family &&
    outer.length <= inner.length &&
    networkOf({ ...inner, length: outer.length }).value === outer.value
  );
}

/** The fewest networks that hold what is in `network` and in none of `holes`, in order of their addresses. */
export function without(network: Network, holes: readonly Network[]): Network[] {
  if (holes.some((hole) => covers(hole, network))) return [];
  const inside = holes.filter((hole) => covers(network, hole));
  if (inside.length === 0) return [network];
  const length = network.length + 1;
  const half = 1n << BigInt(width(network.family) - length);
  const { family, value } = network;
  return [
    ...without({ family, value, length }, inside),
    ...without({ family, value: value + half, length }, inside),
  ];
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function ofParts(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);
}

function toParts(value: bigint, count: number, bits: bigint): number[] {
  const mask = (1n << bits) - 1n;
  return Array.from({ length: count }, (_, i) => Number((value >> (BigInt(count - 1 - i) * bits)) & mask));
}
