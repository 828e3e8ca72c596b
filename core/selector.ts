import { escapePointer } from './json-pointer.ts';
import type { VirtualSiteSpec } from './model/resource.ts';
import type { Labels } from './model/site.ts';

export type Requirement = {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  values: readonly string[];
};

/** All requirements hold. None at all selects everything, as in Kubernetes. */
export type Selector = readonly Requirement[];

export type ParsedSelector = { ok: true; selector: Selector } | { ok: false; at: string; reason: string };

/**
 * Reads a selector in string form ("env in (prod),!maint") or as metav1.LabelSelector.
 * `at` says where it is wrong: "character 5" or a JSON pointer below the selector.
 */
export function parseSelector(source: VirtualSiteSpec['selector']): ParsedSelector {
  return typeof source === 'string' ? parseText(source) : parseObject(source);
}

/** Kubernetes' semantics: NotIn also matches when the key is absent. */
export function matches(selector: Selector, labels: Labels): boolean {
  return selector.every((requirement) => holds(requirement, labels));
}

function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** The string form, in which any selector can be written. */
export function selectorText(selector: Selector): string {
  return selector
    .map(({ key, operator, values }) => {
      if (operator === 'Exists') return key;
      if (operator === 'DoesNotExist') return `!${key}`;
      return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
    })
    .join(',');
}

const KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Grammar of k8s.io/apimachinery labels.Parse: comma-joined "k", "!k", "k=v", "k==v", "k!=v", "k in (a,b)", "k notin (a,b)". */
function parseText(text: string): ParsedSelector {
  const requirements: Requirement[] = [];
  const tokens = /\s*(!=|==|=|!|,|\(|\)|[^\s,()=!]+)/gy;
  const found: { text: string; at: number }[] = [];
  while (tokens.lastIndex < text.trimEnd().length) {
    const start = tokens.lastIndex;
    const match = tokens.exec(text);
    if (match?.[1] === undefined) return wrong(start, 'this character has no meaning here');
    found.push({ text: match[1], at: tokens.lastIndex - match[1].length });
  }
  if (found.length === 0) return { ok: true, selector: [] };
  let i = 0;
  const peek = () => found[i]?.text;
  const position = () => found[i]?.at ?? text.length;
  for (;;) {
    const negated = peek() === '!';
    if (negated) i++;
    const key = peek();
    if (key === undefined || !KEY.test(key)) return wrong(position(), 'a label key is expected');
    i++;
    const operator = peek();
    if (negated || operator === undefined || operator === ',') {
      requirements.push({ key, operator: negated ? 'DoesNotExist' : 'Exists', values: [] });
    } else if (operator === '=' || operator === '==' || operator === '!=') {
      i++;
      const next = peek();
      const value = next === undefined || next === ',' ? '' : next;
      if (!VALUE.test(value)) return wrong(position(), `"${value}" is not a label value`);
      if (value !== '') i++;
      requirements.push({ key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] });
    } else if (operator === 'in' || operator === 'notin') {
      i++;
      const values = readValues();
      if (!Array.isArray(values)) return values;
      requirements.push({ key, operator: operator === 'in' ? 'In' : 'NotIn', values });
    } else {
      return wrong(position(), `"${operator}" is not an operator; use =, !=, in, notin, or a comma`);
    }
    if (i >= found.length) return { ok: true, selector: requirements };
    if (peek() !== ',') return wrong(position(), 'a comma is expected between requirements');
    i++;
  }

  function readValues(): string[] | ParsedSelector {
    if (peek() !== '(') return wrong(position(), 'values in parentheses are expected, as in (a,b)');
    i++;
    const values: string[] = [];
    let last = '';
    let pending = true;
    for (; peek() !== ')'; i++) {
      const token = peek();
      if (token === undefined) return wrong(text.length, 'the parenthesis is not closed');
      if (token === ',') {
        if (pending) values.push('');
        pending = true;
        last = token;
        continue;
      }
      if (!pending || !VALUE.test(token)) return wrong(position(), `"${token}" is not a label value`);
      values.push(token);
      pending = false;
      last = token;
    }
    if (pending && last === ',') values.push('');
    if (values.length === 0) values.push('');
    i++;
    return [...new Set(values)];
  }
}

function wrong(at: number, reason: string): ParsedSelector {
  return { ok: false, at: `character ${at + 1}`, reason };
}

function parseObject(source: Exclude<VirtualSiteSpec['selector'], string>): ParsedSelector {
  const requirements: Requirement[] = [];
  for (const [key, value] of Object.entries(source.matchLabels ?? {})) {
    const at = `/matchLabels/${escapePointer(key)}`;
    if (!KEY.test(key)) return { ok: false, at, reason: 'this is not a label key' };
    if (!VALUE.test(value)) return { ok: false, at, reason: `"${value}" is not a label value` };
    requirements.push({ key, operator: 'In', values: [value] });
  }
  for (const [i, { key, operator, values = [] }] of (source.matchExpressions ?? []).entries()) {
    const at = `/matchExpressions/${i}`;
    if (!KEY.test(key)) return { ok: false, at: `${at}/key`, reason: 'this is not a label key' };
    const takesValues = operator === 'In' || operator === 'NotIn';
    if (takesValues && values.length === 0)
      return { ok: false, at: `${at}/values`, reason: `${operator} needs at least one value` };
    if (!takesValues && values.length > 0)
      return { ok: false, at: `${at}/values`, reason: `${operator} takes no values` };
    const bad = values.find((value) => !VALUE.test(value));
    if (bad !== undefined) return { ok: false, at: `${at}/values`, reason: `"${bad}" is not a label value` };
    requirements.push({ key, operator, values });
  }
  return { ok: true, selector: requirements };
}
