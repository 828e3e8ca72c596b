import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { checkDocument, readDocuments } from '../../core/document.ts';

const GOOD = `apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: prod}
spec:
  selector: env in (prod)
`;

/** The faults of a text as "line:column field: problem; remedy". */
function faultsOf(text: string): string[] {
  return readDocuments('f.yaml', text).faults.map(
    ({ line, column, field, problem, remedy }) => `${line}:${column} ${field}: ${problem}; ${remedy}`,
  );
}

describe('a document with a fault', () => {
  test.each([
    [
      'a misspelt field',
      GOOD.replace('selector:', 'selectr:'),
      '5:3 spec.selectr: "selectr" is not a field here; did you mean "selector"?',
    ],
    [
      'a field that is nothing like another',
      GOOD.replace('selector:', 'foo: 1\n  selector:'),
      '5:3 spec.foo: "foo" is not a field here; known fields are selector, guard',
    ],
    [
      'a missing field',
      GOOD.replace('selector: env in (prod)', 'guard: {}'),
      '4:1 spec: the field "selector" is missing; add selector',
    ],
    [
      'a name of the wrong form',
      GOOD.replace('prod}', 'Prod}'),
      '3:12 metadata.name: "Prod" has not the form it needs; use 1 to 63 lower case letters, digits and hyphens, beginning and ending with a letter or digit',
    ],
    [
      'a misspelt kind',
      GOOD.replace('VirtualSite', 'VirtualSit'),
      '2:1 kind: "VirtualSit" is not a known kind; did you mean "VirtualSite"?',
    ],
    [
      'a kind of a later version',
      GOOD.replace('VirtualSite', 'Quota'),
      '2:1 kind: this version does not take kind Quota yet; leave the document out, or use a version that does; VirtualSite, Allowlist are known',
    ],
    [
      'a number for a text',
      GOOD.replace('env in (prod)', '{matchLabels: {env: 1}}'),
      '5:28 spec.selector.matchLabels.env: 1 stands where text is needed; put it in quotes: "1"',
    ],
    [
      'a selector that can not be read',
      GOOD.replace('in (prod)', 'in prod'),
      '5:3 spec.selector: at character 8: values in parentheses are expected, as in (a,b); write it as "env in (prod,test),!maintenance" or with matchLabels',
    ],
    [
      'an operator in lower case',
      GOOD.replace('env in (prod)', '{matchExpressions: [{key: a, operator: in, values: [b]}]}'),
      '5:42 spec.selector.matchExpressions[0].operator: "in" is not known here; did you mean "In"?',
    ],
    [
      'an address that is no network',
      `${GOOD}  guard: {forbidden: [10.0.0.0/8, 1.2.3.4]}\n`,
      '6:35 spec.guard.forbidden[1]: "1.2.3.4" is not a network; write 1.2.3.4/32',
    ],
    [
      'a forbidden network with host bits',
      `${GOOD}  guard: {forbidden: [10.0.0.1/8]}\n`,
      '6:23 spec.guard.forbidden[0]: 10.0.0.1/8 has bits set beyond its prefix; write 10.0.0.0/8',
    ],
    [
      'a prefix that no network has',
      `${GOOD}  guard: {widestCidr: 99}\n`,
      '6:11 spec.guard.widestCidr: no IPv4 network has a prefix of 99 bits, so that it would let none in; write 0 to 32, the shortest prefix a network may have; for IPv6 32 are added, so that 16 is a /48',
    ],
    [
      'a duration in words',
      `${GOOD}  guard: {minSoak: 3 weeks}\n`,
      '6:11 spec.guard.minSoak: "3 weeks" has not the form it needs; write a number and a unit, as 90s, 30m, 12h or 1d',
    ],
    [
      'an alias',
      `${GOOD.replace('env in (prod)', '&a x')}  guard: {minSoak: *a}\n`,
      '6:20 : anchors and aliases are not taken; write the value out',
    ],
    [
      'a text where a document is needed',
      'hello',
      '1:1 : text stands where a mapping is needed; write its fields below it, indented by two spaces',
    ],
  ])('%s is named with its place and the remedy', (_what, text, fault) => {
    expect(faultsOf(text)).toEqual([fault]);
  });

  test('the second document of a file has its own line numbers, and the first is read all the same', () => {
    const read = readDocuments('f.yaml', `${GOOD}---\n${GOOD.replace('kind: VirtualSite', 'kind: 5')}`);
    expect(read.documents.map(({ line, document }) => [line, document.metadata.name])).toEqual([[1, 'prod']]);
    expect(read.faults.map(({ line, field }) => [line, field])).toEqual([[8, 'kind']]);
  });

  test('YAML that can not be read is one fault with its place', () => {
    expect(faultsOf('a: [')).toHaveLength(1);
    expect(faultsOf('a: 1\na: 2')[0]).toMatch(/^2:1 : Map keys must be unique/);
  });

  test('a file of more than 1 MiB is refused whole', () => {
    expect(faultsOf(`# ${'x'.repeat(1024 * 1024)}`)).toEqual([expect.stringContaining('split it')]);
  });
});

test('empty documents are passed over', () => {
  expect(readDocuments('f.yaml', '---\n# nothing\n---\n')).toEqual({ documents: [], faults: [] });
});

test('every example is valid', () => {
  const dir = fileURLToPath(new URL('../../examples/', import.meta.url));
  const read = readdirSync(dir).map((file) => readDocuments(file, readFileSync(dir + file, 'utf8')));
  expect(read.flatMap(({ faults }) => faults)).toEqual([]);
  expect(
    read.flatMap(({ documents }) => documents.map(({ document }) => document.metadata.name)).sort(),
  ).toEqual(['all', 'hosts', 'payments', 'prod', 'small', 'test']);
});

test('no text crashes the reader, and whatever is refused says where and what to do', () => {
  const keys = fc.constantFrom(
    'apiVersion',
    'kind',
    'metadata',
    'spec',
    'selector',
    'guard',
    'name',
    '__proto__',
    'x/y~z',
  );
  const tree = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(keys, tie('any'), { maxKeys: 5 }),
    ),
  })).any;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        tree.map((value) => stringify(value)),
      ),
      (text) => {
        for (const { line, column, problem, remedy } of readDocuments('f.yaml', text).faults) {
          expect(line).toBeGreaterThan(0);
          expect(column).toBeGreaterThan(0);
          expect(problem).not.toBe('');
          expect(remedy).not.toBe('');
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('what the explanation lets pass, the schema lets pass: a value is a document or has faults', () => {
  const value = fc.record(
    {
      apiVersion: fc.constantFrom('plumbline.io/v1', 'v1'),
      kind: fc.constantFrom('VirtualSite', 'Allowlist', 'Site'),
      metadata: fc.oneof(
        fc.constant({ name: 'a' }),
        fc.dictionary(fc.constantFrom('name', 'namespace'), fc.string()),
      ),
      spec: fc.oneof(
        fc.constant({ selector: 'a=b' }),
        fc.constant({ workloads: {}, egress: [] }),
        fc.dictionary(
          fc.constantFrom('selector', 'guard', 'workloads', 'egress', 'ingress'),
          fc.oneof(fc.string(), fc.object({ maxDepth: 3 })),
        ),
      ),
      rollout: fc.oneof(
        fc.constant({ stages: [{ virtualSite: 'test' }] }),
        fc.dictionary(fc.constantFrom('stages', 'onFailure'), fc.array(fc.object({ maxDepth: 3 }))),
      ),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(value, (candidate) => {
      const checked = checkDocument(candidate);
      if (!checked.ok) expect(checked.faults.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});

test('says the first few of what one mistake in the YAML makes of everything after it', () => {
  const rules = Array.from({ length: 20_000 }, (_, i) => `{name: r${i}},`).join('\n');
  const { faults } = readDocuments('broken.yaml', `a: [\n${rules}\n]\n`);
  expect(faults.length).toBeGreaterThan(0);
  expect(faults.length).toBeLessThan(10);
});
