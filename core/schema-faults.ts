import Type, { type TSchema } from 'typebox';
import { escapePointer } from './json-pointer.ts';
import { nearest } from './nearest.ts';

/** What is wrong with a value and what to do about it. `pointer` is a JSON pointer (RFC 6901) to the field. */
export type Fault = { pointer: string; problem: string; remedy: string };

/** More faults than these help nobody; the rest is left out. */
const MAX_FAULTS = 32;

/**
 * Every fault of `value` in words a person can act on, in the order of its fields. Covers the schemas that documents are
 * made of (objects, records, arrays, unions, literals, texts, numbers, booleans); what it can't explain is left to the
 * compiled check of the same schema, which stays the authority.
 */
export function schemaFaults(schema: TSchema, value: unknown): Fault[] {
  const faults: Fault[] = [];
  visit(schema, value, '', faults);
  return faults.slice(0, MAX_FAULTS);
}

function visit(schema: TSchema, value: unknown, pointer: string, faults: Fault[]): void {
  if (faults.length >= MAX_FAULTS) return;
  const add = (problem: string, remedy: string) => faults.push({ pointer, problem, remedy });
  const wrongType = (wanted: string, remedy = `write ${wanted}`) =>
    add(`${kindOf(value)} stands where ${wanted} is needed`, remedy);

  if (Type.IsUnion(schema)) visitUnion(schema.anyOf, value, pointer, faults);
  else if (Type.IsLiteral(schema)) {
    if (value !== schema.const) choose([schema.const], value, add);
  } else if (Type.IsEnum(schema)) {
    if (!schema.enum.some((choice) => choice === value)) choose(schema.enum, value, add);
  } else if (Type.IsObject(schema)) {
    if (isRecord(value)) visitObject(schema, value, pointer, faults);
    else wrongType('a mapping', 'write its fields below it, indented by two spaces');
  } else if (Type.IsRecord(schema)) {
    if (!isRecord(value)) return void wrongType('a mapping', 'write "key: value" lines below it');
    for (const [pattern, inner] of Object.entries(schema.patternProperties)) {
      for (const [key, entry] of Object.entries(value)) {
        const at = `${pointer}/${escapePointer(key)}`;
        if (new RegExp(pattern).test(key)) visit(inner, entry, at, faults);
        else faults.push({ pointer: at, problem: `"${key}" is not a valid key`, remedy: form(pattern) });
      }
    }
  } else if (Type.IsArray(schema)) {
    if (!Array.isArray(value)) return void wrongType('a list', 'write its items with "- " in front');
    const maxItems = limit(schema, 'maxItems');
    const minItems = limit(schema, 'minItems', 0);
    if (value.length > maxItems) add(`the list has ${value.length} items`, `keep it to ${maxItems}`);
    if (value.length < minItems) add('the list is too short', `write at least ${minItems} of its items`);
    for (const [i, item] of value.entries()) visit(schema.items, item, `${pointer}/${i}`, faults);
  } else if (Type.IsString(schema)) {
    if (typeof value !== 'string') return void wrongType('text', quoted(schema, value));
    visitText(schema, value, add);
  } else if (Type.IsInteger(schema) || Type.IsNumber(schema)) {
    const whole = Type.IsInteger(schema);
    if (typeof value !== 'number' || (whole && !Number.isInteger(value)))
      return void wrongType(whole ? 'a whole number' : 'a number');
    const minimum = limit(schema, 'minimum', Number.NEGATIVE_INFINITY);
    const maximum = limit(schema, 'maximum');
    if (value < minimum) add(`${value} is too small`, `use ${minimum} or more`);
    if (value > maximum) add(`${value} is too large`, `use ${maximum} or less`);
  } else if (Type.IsBoolean(schema)) {
    if (typeof value !== 'boolean') wrongType('true or false');
  }
}

type Add = (problem: string, remedy: string) => void;

function visitObject(
  schema: ReturnType<typeof Type.Object>,
  value: Record<string, unknown>,
  pointer: string,
  faults: Fault[],
): void {
  const known = Object.keys(schema.properties);
  const unknown = Object.keys(value).filter((name) => !known.includes(name));
  const missing = (schema.required ?? []).filter((name) => value[name] === undefined);
  if (option(schema, 'additionalProperties') === false)
    for (const name of unknown) {
      const meant = nearest(name, known);
      faults.push({
        pointer: `${pointer}/${escapePointer(name)}`,
        problem: `"${name}" is not a field here`,
        remedy: meant === null ? `known fields are ${known.join(', ')}` : `did you mean "${meant}"?`,
      });
      // The misspelt field is the missing one: one fault is enough.
      if (meant !== null && missing.includes(meant)) missing.splice(missing.indexOf(meant), 1);
    }
  for (const name of missing) faults.push({ pointer, problem: missingField(name), remedy: `add ${name}` });
  for (const [name, inner] of Object.entries(schema.properties))
    if (value[name] !== undefined) visit(inner, value[name], `${pointer}/${escapePointer(name)}`, faults);
}

/** Of a union of literals, the choice; of others, the branch that has the value's type, or what types there are. */
function visitUnion(branches: readonly TSchema[], value: unknown, pointer: string, faults: Fault[]): void {
  const literals = branches.flatMap((branch) => (Type.IsLiteral(branch) ? [branch.const] : []));
  const add: Add = (problem, remedy) => void faults.push({ pointer, problem, remedy });
  if (literals.length === branches.length) {
    if (!literals.some((literal) => literal === value)) choose(literals, value, add);
    return;
  }
  const wanted = [...new Set(branches.map(nameOf))].join(' or ');
  // Of several that have its type, the one it comes nearest to is the one that was meant.
  const [nearestFaults] = branches
    .filter((branch) => fits(branch, value))
    .map((branch) => schemaFaults(branch, value))
    .sort((a, b) => a.length - b.length);
  if (nearestFaults === undefined)
    return void add(`${kindOf(value)} stands where ${wanted} is needed`, `write ${wanted}`);
  const marks = marksMissing(branches, value);
  const others = branches.filter((branch) => !Type.IsObject(branch)).map(nameOf);
  if (marks.length > 0)
    add(
      `${marks.length === 2 ? `neither ${marks[0]} nor ${marks[1]}` : `none of ${marks.join(', ')}`} is there, so that nothing says what it is`,
      [`add ${marks.join(' or ')}`, ...others.map((other) => `write ${other}`)].join(', or '),
    );
  const isSaid = (problem: string) => marks.some((mark) => problem === missingField(mark));
  for (const fault of nearestFaults)
    if (!isSaid(fault.problem)) faults.push({ ...fault, pointer: pointer + fault.pointer });
}

/** The fields by which mappings of a union are told from one another, when the value has none, nor one that is spelt alike. */
function marksMissing(branches: readonly TSchema[], value: unknown): string[] {
  if (!isRecord(value)) return [];
  const objects = branches.filter((branch) => Type.IsObject(branch));
  const required = objects.map((branch) => branch.required ?? []);
  const marks = required.map((names) => names.filter((name) => !required.every((all) => all.includes(name))));
  if (objects.length < 2 || marks.some((own) => own.length === 0)) return [];
  const all = [...new Set(marks.flat())];
  const known = objects.flatMap((branch) => Object.keys(branch.properties));
  const isMeant = (name: string) =>
    all.includes(name) || (!known.includes(name) && nearest(name, known) !== null);
  return Object.keys(value).some(isMeant) ? [] : all;
}

function missingField(name: string): string {
  return `the field "${name}" is missing`;
}

function visitText(schema: ReturnType<typeof Type.String>, text: string, add: Add): void {
  const pattern = option(schema, 'pattern');
  const minLength = limit(schema, 'minLength', 0);
  const maxLength = limit(schema, 'maxLength');
  if (text.length > maxLength) add(`the text has ${text.length} characters`, `keep it to ${maxLength}`);
  else if (text.length < minLength) add('the text is too short', `write at least ${minLength} characters`);
  else if (typeof pattern === 'string' && !new RegExp(pattern).test(text))
    add(`"${text}" has not the form it needs`, form(pattern));
}

function choose(choices: readonly unknown[], value: unknown, add: Add): void {
  const texts = choices.map(String);
  const meant = typeof value === 'string' ? nearest(value, texts) : null;
  const list = texts.length === 1 ? texts[0] : `one of ${texts.join(', ')}`;
  const shown = typeof value === 'string' ? `"${value}"` : kindOf(value);
  add(`${shown} is not known here`, meant === null ? `write ${list}` : `did you mean "${meant}"?`);
}

/** What a pattern asks for, in words where it is one of ours. */
function form(pattern: string): string {
  if (pattern.startsWith('^[a-z0-9]([a-z0-9-]{0,61}'))
    return 'use 1 to 63 lower case letters, digits and hyphens, beginning and ending with a letter or digit';
  if (/^\^\[0-9\](\+|\{1,6\})\(s\|m\|h\|d\)\$$/.test(pattern))
    return 'write a number and a unit, as 90s, 30m, 12h or 1d';
  if (pattern.endsWith('/(TCP|UDP)$')) return 'write a port and its protocol, as 443/TCP or 8000-8100/UDP';
  if (pattern === '^(100|[0-9]{1,2})%$') return 'write a share, as 25%';
  return `it has to match ${pattern}`;
}

function fits(schema: TSchema, value: unknown): boolean {
  if (Type.IsObject(schema) || Type.IsRecord(schema)) return isRecord(value);
  if (Type.IsArray(schema)) return Array.isArray(value);
  if (Type.IsString(schema)) return typeof value === 'string';
  if (Type.IsInteger(schema) || Type.IsNumber(schema)) return typeof value === 'number';
  if (Type.IsBoolean(schema)) return typeof value === 'boolean';
  if (Type.IsNull(schema)) return value === null;
  return Type.IsLiteral(schema) && schema.const === value;
}

function nameOf(schema: TSchema): string {
  const title = option(schema, 'title');
  if (typeof title === 'string') return title;
  if (Type.IsObject(schema) || Type.IsRecord(schema)) return 'a mapping';
  if (Type.IsArray(schema)) return 'a list';
  if (Type.IsString(schema)) return 'text';
  if (Type.IsInteger(schema) || Type.IsNumber(schema)) return 'a number';
  if (Type.IsBoolean(schema)) return 'true or false';
  return Type.IsLiteral(schema) ? JSON.stringify(schema.const) : 'null';
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'text';
  return String(value);
}

/** An option of a schema, which typebox keeps beside its own fields. */
function option(schema: TSchema, name: string): unknown {
  return Reflect.get(schema, name);
}

function limit(schema: TSchema, name: string, otherwise = Number.POSITIVE_INFINITY): number {
  const value = option(schema, name);
  return typeof value === 'number' ? value : otherwise;
}

/** Only plain values go in quotes: a mapping may have a field `toString`, which makes it no text at all. */
function quoted(schema: TSchema, value: unknown): string {
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  if (!isPlain) return 'write text';
  const pattern = option(schema, 'pattern');
  const isOther = typeof pattern === 'string' && !new RegExp(pattern).test(String(value));
  return isOther ? form(pattern) : `put it in quotes: "${value}"`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
