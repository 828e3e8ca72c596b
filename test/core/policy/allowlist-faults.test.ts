import { describe, expect, test } from 'vitest';
import { readDocuments } from '../../../core/document.ts';

const GOOD = `apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    - name: payments-api
      to: ["https://api.payments.example", {cidr: 203.0.113.0/24, ports: [443/TCP]}]
rollout:
  stages:
    - virtualSite: test
      mode: audit
    - virtualSite: test
      verify: {soak: 10m, minHits: 1, minHitsTotal: 20, maxUnexpectedDenies: 0, maxScoreDrop: 5, minConclusive: 80%}
      probes: [{name: api, to: "https://api.payments.example", expect: allow}, {name: canary, to: "https://canary.example", expect: deny}]
    - virtualSite: prod
      maxConcurrency: 25%
`;
const PEERS = '"https://api.payments.example", {cidr: 203.0.113.0/24, ports: [443/TCP]}';
const peer = (text: string) => GOOD.replace(PEERS, text);

function faultsOf(text: string): string[] {
  return readDocuments('f.yaml', text).faults.map(
    ({ line, column, field, problem, remedy }) => `${line}:${column} ${field}: ${problem}; ${remedy}`,
  );
}

test('the allowlist of the documentation is taken', () => {
  expect(faultsOf(GOOD)).toEqual([]);
});

describe('what is taken', () => {
  test.each([
    ['an empty selector, which is every workload', GOOD.replace('{matchLabels: {app: checkout}}', '{}')],
    [
      'a selector in string form',
      GOOD.replace('{matchLabels: {app: checkout}}', '"app in (checkout),!canary"'),
    ],
    ['no destination at all', `${GOOD.replace(/egress:\n.*\n.*\n/, 'egress: []\n')}`],
    ['a name with ports', peer('{host: db.example, ports: [5432/TCP, 8000-8100/TCP]}')],
    ['a network less some of it', peer('{cidr: 10.0.0.0/8, except: [10.1.0.0/16], ports: [443/TCP]}')],
    ['IPv6', peer('{cidr: "2001:db8::/32", ports: [443/TCP]}, "tcp://[2001:db8::1]:5432"')],
    ['no hits but probes', GOOD.replace('minHits: 1', 'minHits: 0')],
    [
      'a probe that an audit only counts',
      GOOD.replace(
        'mode: audit',
        'mode: audit\n      probes: [{name: no, to: "https://canary.example", expect: deny}]',
      ),
    ],
    ['a URL with nothing but a slash for a path', peer('"https://api.payments.example/"')],
  ])('%s', (_what, text) => {
    expect(faultsOf(text)).toEqual([]);
  });
});

describe('what is refused is named with line, field and remedy', () => {
  test.each([
    [
      'a URL with a path',
      peer('"https://api.payments.example/v1"'),
      '8:12 spec.egress[0].to[0]: a path ("/v1") can\'t be enforced by address and port; leave the path out',
    ],
    [
      'a URL without a port that its scheme would give',
      peer('"tcp://db.example"'),
      '8:12 spec.egress[0].to[0]: tcp has no default port; write tcp://db.example:PORT',
    ],
    [
      'a network without ports',
      peer('{cidr: 203.0.113.0/24}'),
      '8:12 spec.egress[0].to[0]: the field "ports" is missing; add ports',
    ],
    [
      'a name without ports',
      peer('{host: db.example}'),
      '8:12 spec.egress[0].to[0]: the field "ports" is missing; add ports',
    ],
    [
      'a misspelt field of a name',
      peer('{hosts: db.example, ports: [5432/TCP]}'),
      '8:13 spec.egress[0].to[0].hosts: "hosts" is not a field here; did you mean "host"?',
    ],
    [
      'a port without protocol',
      peer('{cidr: 203.0.113.0/24, ports: [443]}'),
      '8:43 spec.egress[0].to[0].ports[0]: 443 stands where text is needed; write a port and its protocol, as 443/TCP or 8000-8100/UDP',
    ],
    [
      'an empty list of destinations',
      peer(''),
      '8:7 spec.egress[0].to: the list is too short; write at least 1 of its items',
    ],
    [
      'a network with host bits',
      peer('{cidr: 203.0.113.7/24, ports: [443/TCP]}'),
      '8:13 spec.egress[0].to[0].cidr: 203.0.113.7/24 has bits set beyond its prefix; write 203.0.113.0/24',
    ],
    [
      'an exception outside its network',
      peer('{cidr: 203.0.113.0/24, except: [203.0.112.0/25], ports: [443/TCP]}'),
      '8:44 spec.egress[0].to[0].except[0]: 203.0.112.0/25 does not lie in 203.0.113.0/24; leave it out, or widen the network',
    ],
    [
      'a selector that a template left empty',
      GOOD.replace('{matchLabels: {app: checkout}}', '""'),
      '5:3 spec.workloads: the selector is empty text; name labels, as `app=checkout`; every workload is `{}`',
    ],
    [
      'no selector of workloads',
      GOOD.replace('  workloads: {matchLabels: {app: checkout}}\n', ''),
      '4:1 spec: the field "workloads" is missing; add workloads',
    ],
    [
      'a selector that can not be read',
      GOOD.replace('{matchLabels: {app: checkout}}', '"app = = x"'),
      '5:3 spec.workloads: at character 7: "=" is not a label value; write it as "env in (prod,test),!maintenance" or with matchLabels',
    ],
    [
      'no direction',
      GOOD.replace(/ {2}egress:\n.*\n.*\n/, ''),
      '4:1 spec: there is neither egress nor ingress, so it would isolate nothing; add egress with the destinations that are let through; `egress: []` denies all',
    ],
    [
      'two rules of one name',
      GOOD.replace('rollout:\n', '    - name: payments-api\n      to: ["https://b.example"]\nrollout:\n'),
      '9:7 spec.egress[1].name: "payments-api" names two rules; give each its own name',
    ],
    [
      'one name in both directions',
      GOOD.replace(
        'rollout:\n',
        '  ingress:\n    - name: payments-api\n      from: [{cidr: 10.0.0.0/8, ports: [8080/TCP]}]\nrollout:\n',
      ),
      '10:7 spec.ingress[0].name: "payments-api" names two rules; give each its own name',
    ],
    [
      'a name as a source',
      GOOD.replace('rollout:\n', '  ingress:\n    - name: in\n      from: ["https://b.example"]\nrollout:\n'),
      '11:14 spec.ingress[0].from[0]: text stands where a mapping is needed; write its fields below it, indented by two spaces',
    ],
    [
      'waves',
      `${GOOD}      waves: [1, 5%, 25%, 100%]\n`,
      '18:7 rollout.stages[2].waves: this version does not take "waves" yet; leave it out: a stage takes all of its sites, `maxConcurrency` at a time',
    ],
    [
      'an approval',
      `${GOOD}      approval: required\n`,
      '18:7 rollout.stages[2].approval: this version does not take "approval" yet; leave it out: a stage is promoted with `plumbline rollout promote`',
    ],
    [
      'an unknown mode',
      GOOD.replace('mode: audit', 'mode: watch'),
      '12:7 rollout.stages[0].mode: "watch" is not known here; write one of audit, enforce',
    ],
    [
      'no stage',
      GOOD.replace(/stages:\n(.*\n)*/, 'stages: []\n'),
      '10:3 rollout.stages: the list is too short; write at least 1 of its items',
    ],
    [
      'a virtual site that comes again later',
      `${GOOD}    - virtualSite: test\n`,
      '18:7 rollout.stages[3].virtualSite: test has a stage already; a virtual site may come twice only in a row, with mode audit first and enforce then',
    ],
    [
      'an audit that another stage stands behind',
      GOOD.replace(
        '    - virtualSite: test\n      verify',
        '    - {virtualSite: canary, mode: audit}\n    - virtualSite: test\n      verify',
      ),
      '14:7 rollout.stages[2].virtualSite: test has a stage already; a virtual site may come twice only in a row, with mode audit first and enforce then',
    ],
    [
      'a virtual site that is held to it twice',
      GOOD.replace('mode: audit', 'mode: enforce'),
      '13:7 rollout.stages[1].virtualSite: test has a stage already; a virtual site may come twice only in a row, with mode audit first and enforce then',
    ],
    [
      'a soak that outlasts its stage',
      `${GOOD}      progressDeadline: 5m\n`,
      '18:7 rollout.stages[2].progressDeadline: the stage would reach its progressDeadline before its soak is over; make progressDeadline (24h unless told) longer than soak (10m unless told)',
    ],
    [
      'a duration in words',
      GOOD.replace('soak: 10m', 'soak: a while'),
      '14:16 rollout.stages[1].verify.soak: "a while" has not the form it needs; write a number and a unit, as 90s, 30m, 12h or 1d',
    ],
    [
      'a share that is none',
      GOOD.replace('minConclusive: 80%', 'minConclusive: most'),
      '14:98 rollout.stages[1].verify.minConclusive: "most" has not the form it needs; write a share, as 25%',
    ],
    [
      'a stage that nothing would have to pass',
      GOOD.replace('minConclusive: 80%', 'minConclusive: 0%'),
      '14:98 rollout.stages[1].verify.minConclusive: 0% would pass a stage of which nothing is known; use 1% or more',
    ],
    [
      'a stage that would never begin',
      GOOD.replace('maxConcurrency: 25%', 'maxConcurrency: 0'),
      '17:7 rollout.stages[2].maxConcurrency: none at a time would never begin; use 1 or more, or leave it out for all',
    ],
    [
      'a probe with a path',
      GOOD.replace('"https://canary.example"', '"https://canary.example/health"'),
      '15:95 rollout.stages[1].probes[1].to: a path ("/health") can\'t be enforced by address and port; leave the path out',
    ],
    [
      'two probes of one name',
      GOOD.replace('name: canary', 'name: api'),
      '15:81 rollout.stages[1].probes[1].name: "api" names two probes; give each its own name',
    ],
  ])('%s', (_what, text, fault) => {
    expect(faultsOf(text)).toEqual([fault]);
  });

  test('what is of the wrong type hides nothing that is wrong beside it', () => {
    const text = peer('{cidr: 10.0.0.1/8, ports: [443, 0/TCP, 70000/UDP]}, "https://b.example/path", {}')
      .replace(
        'maxConcurrency: 25%',
        'maxConcurrency: 0\n      mode: watch\n      probes: [{name: p, to: "ftp://x", expect: allow}]',
      )
      .replace('minConclusive: 80%', 'minConclusive: 0%');
    expect(faultsOf(text)).toEqual([
      '8:13 spec.egress[0].to[0].cidr: 10.0.0.1/8 has bits set beyond its prefix; write 10.0.0.0/8',
      '8:39 spec.egress[0].to[0].ports[0]: 443 stands where text is needed; write a port and its protocol, as 443/TCP or 8000-8100/UDP',
      '8:44 spec.egress[0].to[0].ports[1]: "0/TCP" is not a port; write 443/TCP or 8000-8100/UDP, from 1 to 65535',
      '8:51 spec.egress[0].to[0].ports[2]: "70000/UDP" is not a port; write 443/TCP or 8000-8100/UDP, from 1 to 65535',
      '8:64 spec.egress[0].to[1]: a path ("/path") can\'t be enforced by address and port; leave the path out',
      '8:90 spec.egress[0].to[2]: neither cidr nor host is there, so that nothing says what it is; add cidr or host, or write a URL',
      '8:90 spec.egress[0].to[2]: the field "ports" is missing; add ports',
      '14:98 rollout.stages[1].verify.minConclusive: 0% would pass a stage of which nothing is known; use 1% or more',
      '18:7 rollout.stages[2].mode: "watch" is not known here; write one of audit, enforce',
      '19:26 rollout.stages[2].probes[0].to: the scheme "ftp" is not known; use https, http, tcp://host:port or udp://host:port',
    ]);
  });

  test('content that is larger than a signed document can be', () => {
    const hosts = Array.from(
      { length: 64 },
      (_, i) => `"tcp://${'a'.repeat(60)}.${'b'.repeat(60)}.example:${i + 1}"`,
    );
    const rules = Array.from(
      { length: 60 },
      (_, i) => `    - name: r${i}\n      to: [${hosts.join(', ')}]\n`,
    );
    expect(faultsOf(GOOD.replace('rollout:\n', `${rules.join('')}rollout:\n`))).toEqual([
      expect.stringMatching(/^4:1 spec: it has \d+ kB of JSON; keep it to 256 kB/),
    ]);
  });
});
