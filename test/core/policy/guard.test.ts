import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AllowlistSpec, EgressRule } from '../../../core/model/allowlist.ts';
import { contains, subtract } from '../../../core/policy/destination.ts';
import { guardFaults } from '../../../core/policy/guard.ts';

const egress = (...to: EgressRule['to']): AllowlistSpec => ({ workloads: {}, egress: [{ name: 'r', to }] });
const network = (cidr: string, ...except: string[]) => ({ cidr, except, ports: ['443/TCP'] });
const METADATA = { forbidden: ['169.254.169.254/32'], widestCidr: null };

describe('a forbidden network', () => {
  test.each<[string, AllowlistSpec, string[]]>([
    ['named itself', egress(network('169.254.169.254/32')), ['/egress/0/to/0']],
    [
      'inside of one that is allowed',
      egress(network('10.0.0.0/8'), network('169.254.0.0/16')),
      ['/egress/0/to/1'],
    ],
    ['in a URL', egress('http://169.254.169.254'), ['/egress/0/to/0']],
    ['in everything', egress(network('0.0.0.0/0')), ['/egress/0/to/0']],
    ['taken out by an exception', egress(network('169.254.0.0/16', '169.254.169.254/32')), []],
    ['taken out only in part', egress(network('169.254.0.0/16', '169.254.169.255/32')), ['/egress/0/to/0']],
    ['beside one that is allowed', egress(network('169.254.169.252/31')), []],
    ['of the other family', egress(network('::/0')), []],
    ['hidden behind a name, which nobody can judge', egress('https://metadata.example'), []],
  ])('%s', (_what, spec, pointers) => {
    expect(guardFaults(spec, METADATA).map(({ pointer }) => pointer)).toEqual(pointers);
  });

  test('is found in sources too, and said with what it touches', () => {
    const spec: AllowlistSpec = {
      workloads: {},
      ingress: [{ name: 'in', from: [network('192.0.2.0/24')] }],
    };
    expect(guardFaults(spec, { forbidden: ['192.0.2.128/25', '198.51.100.0/24'], widestCidr: null })).toEqual(
      [
        {
          pointer: '/ingress/0/from/0',
          problem: "192.0.2.0/24 reaches 192.0.2.128/25, which the virtual site's guard forbids",
          remedy: 'take it out of the rule, or add it to `except`; an administrator sets the guard',
        },
      ],
    );
  });

  test('any allowed address that is forbidden is found, and nothing else', () => {
    const address = fc.nat(255).map((last) => `192.0.2.${last}`);
    const prefix = fc
      .record({ address, length: fc.integer({ min: 24, max: 32 }) })
      .map(({ address, length }) => {
        const last = Number(address.split('.')[3]);
        return `192.0.2.${last - (last % 2 ** (32 - length))}/${length}`;
      });
    fc.assert(
      fc.property(
        prefix,
        fc.array(prefix, { maxLength: 3 }),
        fc.array(prefix, { maxLength: 3 }),
        (cidr, holes, forbidden) => {
          const except = holes.filter((hole) => contains(cidr, hole));
          if (subtract(cidr, except).length === 0) return;
          const all = Array.from({ length: 256 }, (_, last) => `192.0.2.${last}`);
          const isOpen = (one: string) => contains(cidr, one) && !except.some((hole) => contains(hole, one));
          const wanted = all.some((one) => isOpen(one) && forbidden.some((net) => contains(net, one)));
          const faults = guardFaults(egress(network(cidr, ...except)), { forbidden, widestCidr: null });
          expect(faults.length > 0).toBe(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the widest network', () => {
  test.each<[string, number, boolean]>([
    ['10.0.0.0/16', 16, false],
    ['10.0.0.0/15', 16, true],
    ['10.0.0.0/8', 0, false],
    ['10.0.0.1/32', 32, false],
    ['10.0.0.0/31', 40, true],
    // Of IPv6 the same distance from a whole /64: 16 of 32 bits are 48 of 64.
    ['2001:db8::/48', 16, false],
    ['2001:db8::/47', 16, true],
    ['2001:db8::/64', 32, false],
    ['2001:db8::/63', 32, true],
  ])('%s where /%i is the widest: too wide is %s', (cidr, widestCidr, isTooWide) => {
    const faults = guardFaults(egress(network(cidr)), { forbidden: [], widestCidr });
    expect(faults.map(({ pointer }) => pointer)).toEqual(isTooWide ? ['/egress/0/to/0'] : []);
  });

  test('is judged by what is written: exceptions make no network narrow', () => {
    const spec = egress(network('10.0.0.0/8', '10.0.0.0/9'));
    expect(guardFaults(spec, { forbidden: [], widestCidr: 9 })).toHaveLength(1);
  });
});
