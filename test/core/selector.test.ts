import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  matches,
  parseSelector,
  type Requirement,
  type Selector,
  selectorText,
} from '../../core/selector.ts';

/*
 * What selectors mean in Kubernetes. The cases are those of k8s.io/apimachinery's own tests (pkg/labels/selector_test.go and
 * pkg/apis/meta/v1/helpers_test.go), less the operators > and <, which metav1.LabelSelector does not have.
 */

const text = (source: string): Selector => {
  const parsed = parseSelector(source);
  if (!parsed.ok) throw new Error(`${source}: ${parsed.reason}`);
  return parsed.selector;
};
const requirement = (key: string, operator: Requirement['operator'], ...values: string[]): Requirement => ({
  key,
  operator,
  values,
});

describe('the string form', () => {
  test.each<[string, Selector]>([
    ['', []],
    ['\rx', [requirement('x', 'Exists')]],
    [
      'this-is-a-dns.domain.com/key-with-dash',
      [requirement('this-is-a-dns.domain.com/key-with-dash', 'Exists')],
    ],
    ['a.b/key in (so,what)', [requirement('a.b/key', 'In', 'so', 'what')]],
    [
      '0.1.2.domain/99 notin (10.10.100.1, tick.tack.clock)',
      [requirement('0.1.2.domain/99', 'NotIn', '10.10.100.1', 'tick.tack.clock')],
    ],
    ['foo  in\t (abc)', [requirement('foo', 'In', 'abc')]],
    ['x notin\n (abc)', [requirement('x', 'NotIn', 'abc')]],
    ['x  notin\t\t\t(abc,def)', [requirement('x', 'NotIn', 'abc', 'def')]],
    ['x in (abc,)', [requirement('x', 'In', 'abc', '')]],
    ['x in ()', [requirement('x', 'In', '')]],
    ['x notin ( )', [requirement('x', 'NotIn', '')]],
    ['x notin (, a)', [requirement('x', 'NotIn', '', 'a')]],
    [
      'x notin (abc,,def),bar,z in (),w',
      [
        requirement('x', 'NotIn', 'abc', '', 'def'),
        requirement('bar', 'Exists'),
        requirement('z', 'In', ''),
        requirement('w', 'Exists'),
      ],
    ],
    ['x,y in (a)', [requirement('x', 'Exists'), requirement('y', 'In', 'a')]],
    ['x=a', [requirement('x', 'In', 'a')]],
    ['x=a,y!=b', [requirement('x', 'In', 'a'), requirement('y', 'NotIn', 'b')]],
    ['x==a', [requirement('x', 'In', 'a')]],
    ['x=', [requirement('x', 'In', '')]],
    ['x= ,z= ', [requirement('x', 'In', ''), requirement('z', 'In', '')]],
    ['!x', [requirement('x', 'DoesNotExist')]],
    ['notin=in', [requirement('notin', 'In', 'in')]],
    ['1foo in (bar)', [requirement('1foo', 'In', 'bar')]],
  ])('%j is read as Kubernetes reads it', (source, wanted) => {
    expect(text(source)).toEqual(wanted);
  });

  test.each([
    'x=a||y=b',
    'x==a==b',
    '!x=a',
    'x<a',
    'x>1',
    'x,,y',
    ',x,y',
    'x,',
    'x nott in (y)',
    'x in (a',
    'x in a',
    'x in (a b)',
    '!x in (a)',
    'x in',
    '()',
    `${'a'.repeat(64)}`,
    `x in (${'a'.repeat(64)})`,
    '-x',
    'x=-a',
    'A.b/c/d',
  ])('%j is refused, as Kubernetes refuses it, and the place is said', (source) => {
    const parsed = parseSelector(source);
    expect(parsed).toMatchObject({ ok: false, at: expect.stringMatching(/^character \d+$/) });
  });
});

describe('metav1.LabelSelector', () => {
  test.each<[Parameters<typeof parseSelector>[0], Selector]>([
    [{}, []],
    [{ matchLabels: {} }, []],
    [{ matchLabels: { foo: 'bar' } }, [requirement('foo', 'In', 'bar')]],
    [
      {
        matchLabels: { foo: 'bar' },
        matchExpressions: [{ key: 'baz', operator: 'In', values: ['qux', 'norf'] }],
      },
      [requirement('foo', 'In', 'bar'), requirement('baz', 'In', 'qux', 'norf')],
    ],
    [
      { matchExpressions: [{ key: 'baz', operator: 'DoesNotExist', values: [] }] },
      [requirement('baz', 'DoesNotExist')],
    ],
    [{ matchExpressions: [{ key: 'baz', operator: 'Exists' }] }, [requirement('baz', 'Exists')]],
  ])('%j is read as Kubernetes reads it', (source, wanted) => {
    expect(parseSelector(source)).toEqual({ ok: true, selector: wanted });
  });

  test.each<[Parameters<typeof parseSelector>[0], string]>([
    [{ matchExpressions: [{ key: 'baz', operator: 'In', values: [] }] }, '/matchExpressions/0/values'],
    [{ matchExpressions: [{ key: 'baz', operator: 'NotIn' }] }, '/matchExpressions/0/values'],
    [{ matchExpressions: [{ key: 'baz', operator: 'Exists', values: ['a'] }] }, '/matchExpressions/0/values'],
    [
      {
        matchLabels: { a: 'b' },
        matchExpressions: [{ key: 'baz', operator: 'DoesNotExist', values: ['a'] }],
      },
      '/matchExpressions/0/values',
    ],
    [{ matchExpressions: [{ key: '-baz', operator: 'Exists' }] }, '/matchExpressions/0/key'],
    [{ matchLabels: { '/a': 'b' } }, '/matchLabels/~1a'],
    [{ matchLabels: { a: 'b c' } }, '/matchLabels/a'],
  ])('%j is refused, as Kubernetes refuses it, at %s', (source, at) => {
    expect(parseSelector(source)).toMatchObject({ ok: false, at });
  });
});

describe('what matches', () => {
  test.each<[string, Record<string, string>, boolean]>([
    ['', { x: 'y' }, true],
    ['', {}, true],
    ['x=y', { x: 'y' }, true],
    ['x=y,z=w', { x: 'y', z: 'w' }, true],
    ['x!=y,z!=w', { x: 'z', z: 'a' }, true],
    ['notin=in', { notin: 'in' }, true],
    ['x', { x: 'z' }, true],
    ['!x', { y: 'z' }, true],
    ['x=z', {}, false],
    ['x=y', { x: 'z' }, false],
    ['x=y,z=w', { x: 'w', z: 'w' }, false],
    ['x!=y,z!=w', { x: 'z', z: 'w' }, false],
    ['x', { y: 'z' }, false],
    ['!x', { x: 'z' }, false],
    ['foo=bar,foobar=bar,baz=blah', { foo: 'bar', baz: 'blah' }, false],
    ['x in (foo),y notin (alpha)', { x: 'foo', y: 'baz' }, true],
    ['x in (foo),y in (alpha)', { x: 'foo', y: 'baz' }, false],
    ['x notin (),y', { y: '' }, true],
    ['!x,y', { y: '' }, true],
    ['x notin (),!y', { y: '' }, false],
    ['x in ()', { y: 'baz' }, false],
    // An empty value is a value; an absent key has none.
    ['x=', { x: '' }, true],
    ['x=', {}, false],
    ['x!=', {}, true],
    ['x!=', { x: '' }, false],
    // What every object inherits in JavaScript is nobody's label.
    ['constructor', {}, false],
    ['!toString', {}, true],
    ['constructor notin (a)', {}, true],
  ])('%j of %j: %s', (source, labels, wanted) => {
    expect(matches(text(source), labels)).toBe(wanted);
  });

  /** One requirement against a label that is absent, has a value that is listed, or has another one. */
  const TABLE = {
    In: { absent: false, listed: true, other: false },
    NotIn: { absent: true, listed: false, other: true },
    Exists: { absent: false, listed: true, other: true },
    DoesNotExist: { absent: true, listed: false, other: false },
  } as const;
  const key = fc.constantFrom('a', 'b', 'c', 'x.example/d', 'constructor');
  const value = fc.constantFrom('', 'u', 'v', 'w.1');
  const anyRequirement: fc.Arbitrary<Requirement> = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom('In' as const, 'NotIn' as const),
      values: fc.uniqueArray(value, { minLength: 1 }),
    }),
    fc.record({
      key,
      operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
      values: fc.constant([]),
    }),
  );
  const anySelector = fc.array(anyRequirement, { maxLength: 5 });
  const anyLabels = fc.dictionary(key, value, { maxKeys: 5 });

  test('any selector holds where each of its requirements holds in the table', () => {
    fc.assert(
      fc.property(anySelector, anyLabels, (selector, labels) => {
        const wanted = selector.every(({ key, operator, values }) => {
          const given = new Map(Object.entries(labels)).get(key);
          const place = given === undefined ? 'absent' : values.includes(given) ? 'listed' : 'other';
          return operator === 'Exists' || operator === 'DoesNotExist'
            ? TABLE[operator][given === undefined ? 'absent' : 'listed']
            : TABLE[operator][place];
        });
        expect(matches(selector, labels)).toBe(wanted);
      }),
      { numRuns: 2000 },
    );
  });

  test('both forms of any selector mean the same, and read back as they were written', () => {
    fc.assert(
      fc.property(anySelector, anyLabels, (selector, labels) => {
        const written = text(selectorText(selector));
        expect(written).toEqual(selector);
        const object = parseSelector({
          matchExpressions: selector.map(({ key, operator, values }) => ({
            key,
            operator,
            ...(values.length > 0 && { values: [...values] }),
          })),
        });
        if (!object.ok) throw new Error(object.reason);
        expect(object.selector).toEqual(selector);
        expect(matches(written, labels)).toBe(matches(object.selector, labels));
      }),
      { numRuns: 1000 },
    );
  });

  test('matchLabels is an In of its one value, joined by and with the expressions', () => {
    fc.assert(
      fc.property(anyLabels, anySelector, anyLabels, (matchLabels, selector, labels) => {
        const both = parseSelector({
          matchLabels,
          matchExpressions: selector.map(({ key, operator, values }) => ({
            key,
            operator,
            values: [...values],
          })),
        });
        if (!both.ok) throw new Error(both.reason);
        const given = new Map(Object.entries(labels));
        const labelled = Object.entries(matchLabels).every(([name, wanted]) => given.get(name) === wanted);
        expect(matches(both.selector, labels)).toBe(labelled && matches(selector, labels));
      }),
    );
  });
});
