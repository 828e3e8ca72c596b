import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalAddress, contains, parsePeer, subtract } from '../../../core/policy/destination.ts';
import { formatAddress, formatNetwork, networkOf, parseAddress } from '../../../core/policy/network.ts';

const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
const v4 = octets.map((parts) => parts.join('.'));
const v6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => formatAddress({ family: 6, value }));
const cidrOf = (address: string, length: number) => {
  const parsed = parseAddress(address);
  if (parsed === null) throw new Error(address);
  return formatNetwork(networkOf({ ...parsed, length }));
};
const v4Cidr = fc.tuple(v4, fc.nat(32)).map(([address, length]) => cidrOf(address, length));
const v6Cidr = fc.tuple(v6, fc.nat(128)).map(([address, length]) => cidrOf(address, length));
const tcp = (port: number) => [{ protocol: 'TCP', from: port, to: port }];

test('a URL is scheme, host and port, with the defaults of http and https', () => {
  const cases: [string, unknown][] = [
    ['https://API.Payments.example', { kind: 'name', host: 'api.payments.example', ports: tcp(443) }],
    ['HTTP://db', { kind: 'name', host: 'db', ports: tcp(80) }],
    ['http://api.example:8080', { kind: 'name', host: 'api.example', ports: tcp(8080) }],
    ['tcp://db.example.:5432', { kind: 'name', host: 'db.example', ports: tcp(5432) }],
    [
      'udp://ntp.example:123',
      { kind: 'name', host: 'ntp.example', ports: [{ protocol: 'UDP', from: 123, to: 123 }] },
    ],
    ['https://192.0.2.7', { kind: 'network', family: 4, cidr: '192.0.2.7/32', except: [], ports: tcp(443) }],
    [
      'tcp://[2001:DB8:0::7]:22',
      { kind: 'network', family: 6, cidr: '2001:db8::7/128', except: [], ports: tcp(22) },
    ],
  ];
  for (const [url, destination] of cases) expect(parsePeer(url), url).toEqual({ ok: true, destination });
});

test('what a URL can say and an address can not is refused by name', () => {
  const cases: [string, RegExp, RegExp][] = [
    ['https://api.example/v1', /a path \("\/v1"\)/, /leave the path out/],
    ['https://api.example?x=1', /a query/, /leave the query out/],
    ['https://api.example#x', /a fragment/, /leave the fragment out/],
    ['https://me:secret@api.example', /a user/, /before the @/],
    ['ftp://api.example', /scheme "ftp"/, /https, http, tcp/],
    ['tcp://db.example', /no default port/, /tcp:\/\/db\.example:PORT/],
    ['tcp://db.example:0', /"0" is not a port/, /1 to 65535/],
    ['tcp://db.example:65536', /"65536" is not a port/, /1 to 65535/],
    ['tcp://db.example:', /"" is not a port/, /1 to 65535/],
    ['api.example', /not a URL/, /https:\/\//],
    ['https://*.example', /a pattern/, /each host name/],
    ['https://a_b.example', /"a_b" is not a label/, /full host name/],
    ['https://-a.example', /"-a" is not a label/, /full host name/],
    ['https://127.1', /neither an address nor a name/, /in full/],
    ['https://0x7f.0x1', /neither an address nor a name/, /in full/],
    ['https://bücher.example', /not in ASCII form/, /xn--bcher-kva\.example/],
    [`https://${'a'.repeat(64)}.example`, /not a label/, /full host name/],
    [`https://${'abcdefg.'.repeat(32)}example`, /longer than 253/, /full host name/],
    ['https://[192.0.2.7]', /not an IPv6 address/, /without brackets/],
    ['https://', /host is missing/, /full host name/],
  ];
  for (const [url, reason, remedy] of cases)
    expect(parsePeer(url), url).toEqual({
      ok: false,
      faults: [{ at: '', reason: expect.stringMatching(reason), remedy: expect.stringMatching(remedy) }],
    });
});

test('a secret in a URL is not repeated in its fault', () => {
  expect(JSON.stringify(parsePeer('https://me:secret@api.example'))).not.toContain('secret');
});

test('networks are in canonical form, and a fault names the form', () => {
  const ports = ['443/TCP'];
  const cases: [Parameters<typeof parsePeer>[0], string, RegExp][] = [
    [{ cidr: '203.0.113.7/24', ports }, '/cidr', /write 203\.0\.113\.0\/24/],
    [{ cidr: '2001:db8::1/32', ports }, '/cidr', /write 2001:db8::\/32/],
    [{ cidr: '203.0.113.7', ports }, '/cidr', /write 203\.0\.113\.7\/32/],
    [{ cidr: '203.0.113.0/33', ports }, '/cidr', /write it as/],
    [{ cidr: '203.0.113.0/024', ports }, '/cidr', /write it as/],
    [{ cidr: '::ffff:192.0.2.0/120', ports }, '/cidr', /write 192\.0\.2\.0\/24/],
    [{ cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '11.0.0.0/8'], ports }, '/except/1', /widen/],
    [{ cidr: '10.0.0.0/8', except: ['10.1.0.1/16'], ports }, '/except/0', /write 10\.1\.0\.0\/16/],
    [
      { cidr: '10.0.0.0/8', except: ['10.0.0.0/9', '10.128.0.0/9'], ports },
      '/except',
      /leave the network out/,
    ],
    [{ cidr: '10.0.0.0/8', except: ['2001:db8::/32'], ports }, '/except/0', /widen/],
    [{ cidr: '10.0.0.0/8', ports: ['443/TCP', '9000-8000/UDP'] }, '/ports/1', /write 8000-9000\/UDP/],
    [{ cidr: '10.0.0.0/8', ports: ['0/TCP'] }, '/ports/0', /1 to 65535/],
    [{ cidr: '10.0.0.0/8', ports: ['1-65536/TCP'] }, '/ports/0', /1 to 65535/],
    [{ host: '192.0.2.7', ports }, '/host', /cidr: 192\.0\.2\.7\/32/],
    [{ host: '*.example', ports }, '/host', /each host name/],
  ];
  for (const [peer, at, remedy] of cases)
    expect(parsePeer(peer), JSON.stringify(peer)).toEqual({
      ok: false,
      faults: [{ at, reason: expect.any(String), remedy: expect.stringMatching(remedy) }],
    });
});

test('everything that is wrong with a destination is named at once', () => {
  const peer = {
    cidr: '10.0.0.1/8',
    except: ['10.1.0.1/16', '300.0.0.0/8'],
    ports: ['0/TCP', '443/TCP', '9-8/UDP'],
  };
  const parsed = parsePeer(peer);
  expect(parsed.ok ? [] : parsed.faults.map(({ at }) => at)).toEqual([
    '/cidr',
    '/except/0',
    '/except/1',
    '/ports/0',
    '/ports/2',
  ]);
});

test('a port or a range of either protocol is read', () => {
  expect(parsePeer({ host: 'Db.Example', ports: ['5432/TCP', '8000-8100/UDP'] })).toEqual({
    ok: true,
    destination: {
      kind: 'name',
      host: 'db.example',
      ports: [
        { protocol: 'TCP', from: 5432, to: 5432 },
        { protocol: 'UDP', from: 8000, to: 8100 },
      ],
    },
  });
});

test('any network that is in canonical form is taken as it is, and any other names the form that is taken', () => {
  fc.assert(
    fc.property(fc.oneof(v4Cidr, v6Cidr), (cidr) => {
      const parsed = parsePeer({ cidr, ports: ['1-65535/TCP'] });
      if (!parsed.ok) {
        const [, remedy = ''] = /write (\S+)/.exec(parsed.faults[0]?.remedy ?? '') ?? [];
        expect(parsePeer({ cidr: remedy, ports: ['1/TCP'] }).ok).toBe(true);
      } else expect(parsed.destination).toMatchObject({ cidr });
    }),
  );
});

test('what is left of a network holds an address exactly when the network does and no exception does', () => {
  for (const [cidrs, addresses] of [
    [v4Cidr, v4],
    [v6Cidr, v6],
  ] as const)
    fc.assert(
      fc.property(
        cidrs,
        fc.array(cidrs, { maxLength: 6 }),
        addresses,
        fc.nat(128),
        (cidr, except, random, bits) => {
          const left = subtract(cidr, except);
          // Random addresses seldom lie near a border: the borders of all networks are tried too.
          const borders = [cidr, ...except].map((network) => network.split('/')[0] ?? '');
          for (const address of [random, ...borders, ...borders.map((border) => nudge(border, bits))]) {
            const expected = contains(cidr, address) && !except.some((hole) => contains(hole, address));
            expect(left.filter((prefix) => contains(prefix, address)).length).toBe(expected ? 1 : 0);
          }
        },
      ),
    );
});

test('an address is read back from how it is written', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), (address) => {
      expect(canonicalAddress(address)?.address).toBe(address);
      expect(canonicalAddress(address.toUpperCase())?.address).toBe(address);
    }),
  );
  expect(canonicalAddress('fe80::1%eth0')).toBeNull();
  expect(canonicalAddress('::ffff:192.0.2.1')?.address).toBe('::ffff:c000:201');
  expect(canonicalAddress('1:0:0:2:0:0:0:3')?.address).toBe('1:0:0:2::3');
});

function nudge(address: string, bit: number): string {
  const parsed = parseAddress(address);
  if (parsed === null) throw new Error(address);
  return formatAddress({
    ...parsed,
    value: parsed.value ^ (1n << BigInt(bit % (parsed.family === 4 ? 32 : 128))),
  });
}
