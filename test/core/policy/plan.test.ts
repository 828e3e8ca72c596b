import { describe, expect, test } from 'vitest';
import { checkDocument } from '../../../core/document.ts';
import type { AllowlistDocument } from '../../../core/model/allowlist.ts';
import type { VirtualSiteSpec } from '../../../core/model/resource.ts';
import { digestOf } from '../../../core/policy/digest.ts';
import { type OtherPolicy, type PlanInput, type PlannedSite, plan } from '../../../core/policy/plan.ts';
import { ruleDifference } from '../../../core/policy/rule-diff.ts';

function payments(
  change: Record<string, unknown> = {},
  rollout: Record<string, unknown> = {},
): AllowlistDocument {
  const checked = checkDocument({
    apiVersion: 'plumbline.io/v1',
    kind: 'Allowlist',
    metadata: { name: 'payments' },
    spec: {
      workloads: { matchLabels: { app: 'checkout' } },
      egress: [
        {
          name: 'payments-api',
          to: ['https://api.payments.example', { cidr: '203.0.113.0/24', ports: ['443/TCP'] }],
        },
      ],
      ...change,
    },
    rollout: { stages: [{ virtualSite: 'test' }, { virtualSite: 'prod' }], ...rollout },
  });
  if (!checked.ok || checked.document.kind !== 'Allowlist') throw new Error(JSON.stringify(checked));
  return checked.document;
}

const CHECKOUT = { name: 'checkout', binding: 'user' as const, labels: { app: 'checkout' } };
const LEDGER = { name: 'ledger', binding: 'interface' as const, labels: { app: 'ledger' } };
function site(
  id: string,
  env: string,
  report: Partial<NonNullable<PlannedSite['report']>> | null = {},
): PlannedSite {
  return {
    id,
    kind: 'host',
    labels: { env },
    report: report && { enforcement: 'on', dataplane: 'nftables', workloads: [CHECKOUT, LEDGER], ...report },
  };
}

function virtualSite(selector: string, guard?: VirtualSiteSpec['guard']): VirtualSiteSpec {
  return { selector, ...(guard !== undefined && { guard }) };
}

const SITES = [
  site('t1', 'test'),
  site('t2', 'test'),
  site('p1', 'prod'),
  site('p2', 'prod'),
  site('x', 'dev'),
];
const VIRTUAL_SITES = new Map([
  ['test', virtualSite('env=test')],
  ['prod', virtualSite('env=prod')],
]);
function planned(change: Partial<PlanInput> = {}) {
  return plan({
    document: payments(),
    current: null,
    failedDigests: [],
    sites: SITES,
    virtualSites: VIRTUAL_SITES,
    changed: [],
    promoted: new Map(),
    others: [],
    rollouts: [],
    ...change,
  });
}

describe('the sites of each stage', () => {
  test('are the members of its virtual site, and nobody else', () => {
    const { stages, violations, effect, generation } = planned();
    expect(
      stages.map(({ virtualSite, sites, shown }) => [virtualSite, sites, shown.map(({ site }) => site)]),
    ).toEqual([
      ['test', 2, ['t1', 't2']],
      ['prod', 2, ['p1', 'p2']],
    ]);
    expect(stages[0]?.shown[0]).toEqual({
      site: 't1',
      outcome: 'applies',
      dataplane: 'nftables',
      enforcement: 'on',
      workloads: ['checkout'],
    });
    expect([violations, effect, generation]).toEqual([[], 'created', 1]);
  });

  test('belong to the earlier stage when they are in two', () => {
    const virtualSites = new Map([...VIRTUAL_SITES, ['prod', virtualSite('env in (test,prod)')] as const]);
    expect(planned({ virtualSites }).stages.map(({ sites }) => sites)).toEqual([2, 2]);
  });

  test('are the same when a virtual site is audited first', () => {
    const stages = [{ virtualSite: 'test', mode: 'audit' }, { virtualSite: 'test' }, { virtualSite: 'prod' }];
    expect(
      planned({ document: payments({}, { stages }) }).stages.map(({ mode, sites }) => [mode, sites]),
    ).toEqual([
      ['audit', 2],
      ['enforce', 2],
      ['enforce', 2],
    ]);
  });

  test('say what keeps the policy from applying, those first', () => {
    const sites = [
      site('a-on', 'test'),
      site('b-off', 'test', { enforcement: 'off' }),
      site('c-disarmed', 'test', { enforcement: 'disarmed' }),
      site('d-none', 'test', { workloads: [LEDGER] }),
      site('e-silent', 'test', null),
      site('f-no-dataplane', 'test', { dataplane: 'none' }),
    ];
    const [stage] = planned({ sites }).stages;
    expect(stage?.shown.map(({ site, outcome }) => [site, outcome])).toEqual([
      ['b-off', 'off'],
      ['c-disarmed', 'disarmed'],
      ['d-none', 'not-applicable'],
      ['e-silent', 'unknown'],
      ['f-no-dataplane', 'unsupported'],
      ['a-on', 'applies'],
    ]);
    expect(stage?.byOutcome).toEqual({
      applies: 1,
      off: 1,
      disarmed: 1,
      'not-applicable': 1,
      unknown: 1,
      unsupported: 1,
    });
  });
});

describe('the compiled difference', () => {
  test('is shown once for all sites at which it is the same', () => {
    const sites = [...SITES, site('t3', 'test', { workloads: [{ ...CHECKOUT, binding: 'interface' }] })];
    const { differences } = planned({ sites });
    expect(differences.map(({ sites, examples, workloads }) => [sites, examples, workloads])).toEqual([
      [4, ['t1', 't2', 'p1'], ['checkout']],
      [1, ['t3'], ['checkout']],
    ]);
    expect(differences[0]?.lines.join('\n')).toContain('203.0.113.0/24');
    expect(differences[0]?.lines.every((line) => line.startsWith('+ '))).toBe(true);
  });

  test('is against what each virtual site runs now', () => {
    const before = payments({
      egress: [{ name: 'payments-api', to: [{ cidr: '198.51.100.0/24', ports: ['443/TCP'] }] }],
    }).spec;
    const { differences } = planned({ promoted: new Map([['test', { spec: before, mode: 'enforce' }]]) });
    expect(differences.map(({ examples }) => examples)).toEqual([
      ['t1', 't2'],
      ['p1', 'p2'],
    ]);
    const changed = differences[0]?.lines.filter((line) => /\/24/.test(line)) ?? [];
    expect(changed.map((line) => [line[0], /\d+\.\d+\.\d+\.0\/24/.exec(line)?.[0]])).toEqual([
      ['-', '198.51.100.0/24'],
      ['+', '203.0.113.0/24'],
    ]);
    expect(differences[0]?.lines.find((line) => line.startsWith('  '))).toContain('egress of checkout');
  });

  test('is what each stage compiles to: an audit refuses nothing, and what comes after it only adds that', () => {
    const stages = [{ virtualSite: 'test', mode: 'audit' }, { virtualSite: 'test' }, { virtualSite: 'prod' }];
    const { differences } = planned({ document: payments({}, { stages }) });
    const steps = differences.map(({ mode, virtualSites, examples }) => [mode, virtualSites, examples]);
    expect(steps).toEqual([
      ['audit', ['test'], ['t1', 't2']],
      ['enforce', ['test'], ['t1', 't2']],
      ['enforce', ['prod'], ['p1', 'p2']],
    ]);
    expect(differences[0]?.lines.join('\n')).not.toContain('reject');
    expect(differences[1]?.lines.slice(1)).toEqual([
      '-   counter "would be denied"',
      '+   counter "denied" reject',
    ]);
    expect(differences[2]?.lines.at(-2)).toBe('+   counter "denied" reject');
  });

  test('says which user or interface a workload is, where the sites have said it', () => {
    const said = (id: string, boundTo?: string) =>
      site(id, 'test', { workloads: [{ ...CHECKOUT, ...(boundTo !== undefined && { boundTo }) }] });
    const chain = (...sites: PlannedSite[]) => planned({ sites }).differences[0]?.lines[0];
    expect(chain(said('t1', '1001'), said('t2', '1001'))).toContain('# user 1001');
    expect(chain(said('t1', '1001'), said('t2', '1007'))).toContain("# the site's own user: 1001, 1007, ...");
    expect(chain(said('t1'))).toContain("# the site's own user: which the site knows");
  });

  test('is empty when nothing changes', () => {
    const { spec } = payments();
    const { differences, effect, generation } = planned({
      promoted: new Map([
        ['test', { spec, mode: 'enforce' }],
        ['prod', { spec, mode: 'enforce' }],
      ]),
      current: { generation: 7, digest: digestOf(spec) },
    });
    expect(differences.map(({ lines }) => lines)).toEqual([[]]);
    expect([effect, generation]).toEqual(['unchanged', 7]);
  });

  test('a changed content is the next generation', () => {
    expect(planned({ current: { generation: 7, digest: 'another' } })).toMatchObject({
      effect: 'updated',
      generation: 8,
    });
  });

  test('is refused where a dataplane can not express it', () => {
    const document = payments({
      ingress: [{ name: 'in', from: [{ cidr: '10.0.0.0/8', ports: ['80/TCP'] }] }],
    });
    const { violations, differences } = planned({ document });
    expect(violations).toEqual([
      {
        pointer: '/spec/ingress',
        virtualSite: '',
        problem: expect.stringContaining(
          "workload checkout is a user, and what comes in can't be told apart by user (at t1, t2, p1 and 1 more)",
        ),
        remedy: expect.stringContaining('interface'),
      },
    ]);
    expect(differences).toEqual([]);
  });
});

test('a name is said to open what shares its address', () => {
  expect(planned().names).toEqual([
    {
      host: 'api.payments.example',
      ports: ['443/TCP'],
      opens:
        'it is enforced by address: whatever else has an address that api.payments.example resolves to is opened too, at 443/TCP',
    },
  ]);
});

describe('other allowlists', () => {
  const other = (change: Partial<OtherPolicy> = {}): OtherPolicy => ({
    name: 'base',
    spec: { workloads: {}, egress: [] },
    virtualSites: [{ name: 'prod', isOnItsWay: false }],
    goesTo: ['prod'],
    ...change,
  });

  test('that select the same workloads at shared sites are named', () => {
    expect(planned({ others: [other()] }).overlaps).toEqual([
      { policy: 'base', sites: 2, examples: ['p1', 'p2'], workloads: ['checkout'], busy: false },
    ]);
  });

  test('that are on their way there are busy', () => {
    const others = [other({ virtualSites: [{ name: 'prod', isOnItsWay: true }] })];
    expect(planned({ others }).overlaps).toMatchObject([{ busy: true }]);
  });

  test('of other workloads or other sites are not', () => {
    const others = [
      other({ spec: { workloads: { matchLabels: { app: 'ledger' } }, egress: [] } }),
      other({ virtualSites: [] }),
    ];
    expect(planned({ others }).overlaps).toEqual([]);
  });
});

describe('what keeps it from being rolled out', () => {
  const problems = (change: Partial<PlanInput>) =>
    planned(change).violations.map(
      ({ pointer, virtualSite, problem }) => `${pointer} ${virtualSite}: ${problem}`,
    );

  test('a guard that forbids a network', () => {
    const virtualSites = new Map([
      ...VIRTUAL_SITES,
      ['prod', virtualSite('env=prod', { forbidden: ['203.0.113.9/32'] })] as const,
    ]);
    expect(problems({ virtualSites })).toEqual([
      "/spec/egress/0/to/1 prod: 203.0.113.0/24 reaches 203.0.113.9/32, which the virtual site's guard forbids (virtual site prod)",
    ]);
  });

  test('the guard of another virtual site that has one of its sites', () => {
    const guarded = virtualSite('env in (prod),!spare', { widestCidr: 28 });
    expect(problems({ virtualSites: new Map([...VIRTUAL_SITES, ['pci', guarded] as const]) })).toEqual([
      "/spec/egress/0/to/1 prod: 203.0.113.0/24 is wider than /28, the widest that the virtual site's guard lets in (virtual site pci, to which site p1 belongs too)",
    ]);
  });

  test('a guard that wants a longer soak', () => {
    const virtualSites = new Map([
      ...VIRTUAL_SITES,
      ['prod', virtualSite('env=prod', { minSoak: '30m' })] as const,
    ]);
    expect(problems({ virtualSites })).toEqual([
      '/rollout/stages/1/verify/soak prod: the guard of virtual site prod asks for a soak of 30m at least',
    ]);
  });

  test('a virtual site that is not there, and one that is chosen by what sites say of themselves', () => {
    const virtualSites = new Map([['test', virtualSite('discovered/kernel')]]);
    expect(problems({ virtualSites })).toEqual([
      '/rollout/stages/0/virtualSite test: virtual site test selects by discovered/kernel, which sites say of themselves',
      '/rollout/stages/1/virtualSite prod: there is no virtual site prod',
    ]);
  });

  test('a site that has as many policies as it takes', () => {
    const others = (count: number): OtherPolicy[] =>
      Array.from({ length: count }, (_, i) => ({
        name: `other-${i}`,
        spec: { workloads: {}, egress: [] },
        virtualSites: [],
        goesTo: ['prod'],
      }));
    expect(problems({ others: others(59) })).toEqual([]);
    expect(problems({ others: others(60) })).toEqual([
      '/rollout/stages/1/virtualSite prod: site p1 of virtual site prod has 60 other policies, and 60 is the most that a site takes',
    ]);
  });

  test('sites that can not enforce it, unless they are excluded', () => {
    const sites = [...SITES, { ...site('k8s', 'prod'), kind: 'kubernetes' as const }];
    expect(problems({ sites })).toEqual([
      '/rollout/stages/1/virtualSite prod: site k8s of virtual site prod is kubernetes, for which this version has no enforcer',
    ]);
    expect(problems({ sites, document: payments({}, { unsupportedSites: 'exclude' }) })).toEqual([]);
  });
});

test('what is exempt, and that loopback is not isolated, is said every time', () => {
  const notes = planned().notes.join('\n');
  expect(notes).toContain(
    'exempt is only what the collector itself sends to the hub and to the configured resolvers',
  );
  expect(notes).toContain('loopback is not isolated');
  expect(notes).toContain('isolated for egress');
  expect(notes).not.toContain('isolated for ingress');
});

test('an approver is asked for where a guard wants one', () => {
  const virtualSites = new Map([
    ...VIRTUAL_SITES,
    ['prod', virtualSite('env=prod', { approval: 'required' })] as const,
  ]);
  expect(planned({ virtualSites }).notes).toContain(
    'prod needs the agreement of an approver who is not its author, by the guard of virtual site prod',
  );
});

test('content that failed before is begun anew by a retry alone', () => {
  const { violations } = planned({ failedDigests: [planned().digest] });
  expect(violations).toMatchObject([{ pointer: '/spec', problem: expect.stringContaining('failed') }]);
  expect(violations[0]?.remedy).toContain('`plumbline apply -f <file> --retry`');
});

describe('a difference of lines', () => {
  test('shows what changed under the chain it is in', () => {
    const before = ['chain a {', '  one', '  two', '}', 'chain b {', '  three', '}'];
    const after = ['chain a {', '  one', '}', 'chain b {', '  three', '  four', '}'];
    expect(ruleDifference(before, after)).toEqual(['  chain a {', '-   two', '  chain b {', '+   four']);
  });

  test('does not show a chain in which nothing changed', () => {
    const before = ['chain a {', '  one', '}', 'chain b {', '  two', '}'];
    expect(ruleDifference(before, before.with(4, '  three'))).toEqual([
      '  chain b {',
      '-   two',
      '+   three',
    ]);
  });

  test('of the same lines is nothing', () => {
    expect(ruleDifference(['a {', '  b', '}'], ['a {', '  b', '}'])).toEqual([]);
  });

  test('shows both sides of a change together, under one chain', () => {
    const chain = (line: string) => ['chain a { # of checkout', '  same', `  ${line}`, '  end', '}'];
    expect(ruleDifference(chain('old'), chain('new'))).toEqual([
      '  chain a { # of checkout',
      '-   old',
      '+   new',
    ]);
  });

  test('counts lines that repeat', () => {
    expect(ruleDifference(['a'], ['a', 'a'])).toEqual(['+ a']);
    expect(ruleDifference(['a', 'a'], ['a'])).toEqual(['- a']);
  });
});
