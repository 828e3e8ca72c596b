import type { EgressRule, IngressRule } from '../model/allowlist.ts';
import {
  covers,
  formatAddress,
  formatNetwork,
  type Network,
  networkOf,
  parseAddress,
  parsePrefix,
  width,
  without,
} from './network.ts';

/** Both ends included. */
export type PortRange = { protocol: 'TCP' | 'UDP'; from: number; to: number };

/** Where new connections may go to (or come from): a name with whatever addresses it has, or a network less some of it. */
export type Destination =
  | { kind: 'name'; host: string; ports: PortRange[] }
  | { kind: 'network'; family: 4 | 6; cidr: string; except: string[]; ports: PortRange[] };

export type Peer = EgressRule['to'][number] | IngressRule['from'][number];

/** `at` is a JSON pointer below the peer; `remedy` says what to write instead. */
export type PeerFault = { at: string; reason: string; remedy: string };
/** All that is wrong with something. */
type Wrong = { ok: false; faults: PeerFault[] };
export type ParsedPeer = { ok: true; destination: Destination } | Wrong;
/** A destination without its ports. */
type Place =
  | { kind: 'name'; host: string }
  | { kind: 'network'; family: 4 | 6; cidr: string; except: string[] };

const SCHEMES = { https: 443, http: 80, tcp: null, udp: null } as const;

/** Reads a peer as its author wrote it; what comes out is in canonical form. */
export function parsePeer(peer: Peer): ParsedPeer {
  if (typeof peer === 'string') return parseUrl(peer);
  const place = 'cidr' in peer ? parseNetwork(peer.cidr, peer.except ?? []) : parseName(peer.host);
  const ports = peer.ports.map(parsePort);
  const faults = [
    ...('ok' in place ? place.faults : []),
    ...ports.flatMap((port, i) => ('reason' in port ? [{ ...port, at: `/ports/${i}` }] : [])),
  ];
  if ('ok' in place || faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    destination: { ...place, ports: ports.filter((port) => 'protocol' in port) },
  };
}

/** A network in canonical form, or what is wrong with it; `at` is empty. */
export function parseCidr(text: string): Network | PeerFault {
  const written = parsePrefix(text);
  if (written === null) {
    const address = single(text);
    const remedy = address === null ? 'write it as 203.0.113.0/24' : `write ${formatNetwork(address)}`;
    return { at: '', reason: `"${text}" is not a network`, remedy };
  }
  const network = networkOf(written);
  if (network.value !== written.value)
    return {
      at: '',
      reason: `${text} has bits set beyond its prefix`,
      remedy: `write ${formatNetwork(network)}`,
    };
  if (network.family === 6 && network.length >= 96 && network.value >> 32n === 0xffffn) {
    const value = network.value & 0xffffffffn;
    const plain = formatNetwork({ family: 4, value, length: network.length - 96 });
    const reason = `${text} is IPv4 in the form of IPv6, which no packet carries`;
    return { at: '', reason, remedy: `write ${plain}` };
  }
  const canonical = formatNetwork(network);
  if (canonical !== text.toLowerCase() && network.family === 4)
    return { at: '', reason: `${text} is not in canonical form`, remedy: `write ${canonical}` };
  return network;
}

/** A port or a range of them, or what is wrong with it; `at` is empty. */
export function parsePort(text: string): PortRange | PeerFault {
  const match = /^([0-9]+)(?:-([0-9]+))?\/(TCP|UDP)$/.exec(text);
  const from = portNumber(match?.[1] ?? '');
  const to = portNumber(match?.[2] ?? match?.[1] ?? '');
  if (match === null || from === null || to === null) {
    const remedy = 'write 443/TCP or 8000-8100/UDP, from 1 to 65535';
    return { at: '', reason: `"${text}" is not a port`, remedy };
  }
  if (from > to)
    return {
      at: '',
      reason: `the range ${text} ends before it begins`,
      remedy: `write ${to}-${from}/${match[3]}`,
    };
  return { protocol: match[3] === 'UDP' ? 'UDP' : 'TCP', from, to };
}

/** What of `cidr` is left without `except`, as prefixes. All of them are networks in canonical form. */
export function subtract(cidr: string, except: readonly string[]): string[] {
  return without(trusted(cidr), except.map(trusted)).map(formatNetwork);
}

/** Whether `address` (or every address of a network) lies in the network `cidr`. */
export function contains(cidr: string, address: string): boolean {
  const inner = parsePrefix(address) ?? single(address);
  return inner !== null && covers(trusted(cidr), inner);
}

function parseUrl(text: string): ParsedPeer {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(text);
  if (match === null)
    return fault('', `"${text}" is not a URL`, 'write scheme, host and port, as https://api.example');
  const [, scheme = '', authority = '', rest = ''] = match;
  const known = Object.entries(SCHEMES).find(([name]) => name === scheme.toLowerCase());
  if (known === undefined)
    return fault(
      '',
      `the scheme "${scheme}" is not known`,
      'use https, http, tcp://host:port or udp://host:port',
    );
  const part = rest.startsWith('/') ? 'path' : rest.startsWith('?') ? 'query' : 'fragment';
  // A bare slash, as copied from a browser, says no more than none.
  if (rest !== '' && rest !== '/')
    return fault('', `a ${part} ("${rest}") can't be enforced by address and port`, `leave the ${part} out`);
  const user = authority.lastIndexOf('@');
  if (user >= 0)
    return fault('', 'a user in the URL has no meaning here', `leave everything before the @ out`);
  const place = /^(\[[^\]]*\]|[^:]*)(?::([0-9]*))?$/.exec(authority);
  if (place === null)
    return fault(
      '',
      `"${authority}" is not a host and a port`,
      'write host:port; an IPv6 address in brackets',
    );
  const [name, defaultPort] = known;
  const port = place[2] === undefined ? defaultPort : portNumber(place[2]);
  if (port === null)
    return place[2] === undefined
      ? fault('', `${name} has no default port`, `write ${name}://${authority}:PORT`)
      : fault('', `"${place[2]}" is not a port`, 'write a port from 1 to 65535');
  const ports: PortRange[] = [{ protocol: name === 'udp' ? 'UDP' : 'TCP', from: port, to: port }];
  const bare = place[1] ?? '';
  const host = parseHost(bare.startsWith('[') ? bare.slice(1, -1) : bare);
  if (typeof host === 'string') return { ok: true, destination: { kind: 'name', host, ports } };
  if (!('family' in host)) return host;
  if (bare.startsWith('[') && host.family === 4)
    return fault('', `"${bare}" is not an IPv6 address`, 'write an IPv4 address without brackets');
  const network = parseNetwork(formatNetwork(host), []);
  if ('ok' in network) return { ok: false, faults: network.faults.map((one) => ({ ...one, at: '' })) };
  return { ok: true, destination: { ...network, ports } };
}

function parseName(text: string): Place | Wrong {
  const host = parseHost(text);
  if (typeof host === 'string') return { kind: 'name', host };
  if ('family' in host)
    return fault('/host', `${text} is an address, not a name`, `write cidr: ${formatNetwork(host)}`);
  return { ok: false, faults: host.faults.map((one) => ({ ...one, at: '/host' })) };
}

/** A name in lower case, or the address that was written in its place. */
function parseHost(text: string): string | Network | Wrong {
  const address = single(text);
  if (address !== null) return address;
  const host = text.toLowerCase().replace(/\.$/, '');
  const remedy = 'write a full host name, as api.payments.example';
  if (host === '') return fault('', 'the host is missing', remedy);
  if (host.includes('*'))
    return fault('', `"${text}" is a pattern; a name is looked up as it stands`, 'write each host name out');
  if (/[^\0-\x7f]/.test(host) && URL.canParse(`http://${host}`))
    return fault('', `"${text}" is not in ASCII form`, `write ${new URL(`http://${host}`).hostname}`);
  if (host.length > 253) return fault('', 'the host name is longer than 253 characters', remedy);
  const labels = host.split('.');
  const wrong = labels.find((label) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  if (wrong !== undefined) return fault('', `"${wrong}" is not a label of a host name (RFC 1123)`, remedy);
  if (/^(0x[0-9a-f]*|[0-9]+)$/.test(labels.at(-1) ?? ''))
    return fault('', `"${text}" is neither an address nor a name`, 'write an address in full, as 192.0.2.7');
  return host;
}

function parseNetwork(text: string, excepted: readonly string[]): Place | Wrong {
  const network = parseCidr(text);
  const faults: PeerFault[] = 'reason' in network ? [{ ...network, at: '/cidr' }] : [];
  const except: Network[] = [];
  for (const [i, item] of excepted.entries()) {
    const at = `/except/${i}`;
    const hole = parseCidr(item);
    if ('reason' in hole) faults.push({ ...hole, at });
    else if ('reason' in network) continue;
    else if (covers(network, hole)) except.push(hole);
    else
      faults.push({
        at,
        reason: `${item} does not lie in ${text}`,
        remedy: 'leave it out, or widen the network',
      });
  }
  if ('reason' in network || faults.length > 0) return { ok: false, faults };
  if (without(network, except).length === 0)
    return fault('/except', `nothing of ${text} is left`, 'leave the network out');
  const { family } = network;
  return { kind: 'network', family, cidr: formatNetwork(network), except: except.map(formatNetwork) };
}

function portNumber(text: string): number | null {
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

function single(text: string): Network | null {
  const address = parseAddress(text);
  return address === null ? null : { ...address, length: width(address.family) };
}

function trusted(cidr: string): Network {
  const network = parsePrefix(cidr);
  if (network === null) throw new Error(`${cidr} is not a network`);
  return networkOf(network);
}

function fault(at: string, reason: string, remedy: string): Wrong {
  return { ok: false, faults: [{ at, reason, remedy }] };
}

/** An address in canonical form, so that two spellings of one compare equal; null when it is none. */
export function canonicalAddress(text: string): { family: 4 | 6; address: string } | null {
  const address = parseAddress(text);
  return address === null ? null : { family: address.family, address: formatAddress(address) };
}
