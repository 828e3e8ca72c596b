import type { networkInterfaces } from 'node:os';

/** The machine that the hub runs on, as node:os tells of it. */
export type Machine = { interfaces: ReturnType<typeof networkInterfaces>; hostname: string };

/**
 * The name under which other machines reach a hub that listens at `host`. One that listens everywhere is reached at the
 * first address of the machine that is not its own loopback; nothing but link-local ones leaves the machine's name.
 */
export function reachableName(host: string, { interfaces, hostname }: Machine): string {
  if (host !== '0.0.0.0' && host !== '::') return bracketed(host);
  const addresses = Object.values(interfaces).flatMap((list) =>
    (list ?? []).filter(({ internal, address }) => !internal && !/^(169\.254\.|fe[89ab])/i.test(address)),
  );
  const of = (wanted: 'IPv4' | 'IPv6') => addresses.find(({ family }) => family === wanted)?.address;
  // What listens at 0.0.0.0 hears no IPv6.
  return bracketed(of('IPv4') ?? (host === '::' ? of('IPv6') : undefined) ?? hostname);
}

/** What to say with an invitation to `url` that no other machine can follow; undefined when others can. */
export function invitationNote(url: string): string | undefined {
  const { hostname } = new URL(url);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
  return isLoopback
    ? `This token only works on this very machine, because the hub is reached at ${url}. For sites on other machines run the hub with --listen 0.0.0.0:7117, or with --public-url when they reach it under another address, and make a new token.`
    : undefined;
}

export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
