import { canonicalAddress } from '../../policy/destination.ts';
import type { Fields, Listing } from './listing.ts';
import { type Chain, type Model, setMeaning } from './model.ts';
import { normalRule } from './normal-form.ts';
import { chainFault, setFault } from './shape.ts';
import { type Meanings, meanings, ruleText } from './words.ts';

/** `sure`: the address has to be there. `fading`: its time is about over, so that it may be. By name and address. */
export type Known = ReadonlyMap<string, ReadonlyMap<string, 'sure' | 'fading'>>;

const MOST = 32;

/**
 * How what was listed differs from the model, in words; empty when it does not. Every field of every object counts but what
 * counters and dynamic sets count, and handles.
 */
export function differences(model: Model, listed: Listing | null, known: Known): string[] {
  if (listed === null) return ['the table is gone'];
  const names = meanings(model);
  const found = Object.entries(listed.table).map(([key]) => `the table has ${key}: it may be dormant`);
  found.push(
    ...listed.others.map(({ kind, name }) => `the table has a ${kind} "${name}" that is not Plumbline's`),
  );
  for (const chain of model.chains) {
    const fields = listed.chains.get(chain.name);
    const fault = fields === undefined ? 'it is gone' : chainFault(chain, fields);
    if (fault !== null) found.push(`chain "${chain.meaning}": ${fault}`);
    if (fields !== undefined)
      found.push(...ruleDifferences(chain, listed.rules.get(chain.name) ?? [], names));
  }
  const strange = (kind: string, name: string) => `the table has a ${kind} "${name}" that is not Plumbline's`;
  for (const name of listed.chains.keys()) if (!names.has(name)) found.push(strange('chain', name));
  for (const { name, meaning } of model.counters)
    if (!listed.counters.has(name)) found.push(`the counter of ${meaning} is gone`);
  for (const name of listed.counters.keys()) if (!names.has(name)) found.push(strange('counter', name));
  found.push(...setDifferences(model, listed, known));
  for (const name of listed.sets.keys()) if (!names.has(name)) found.push(strange('set', name));
  return found.length > MOST ? [...found.slice(0, MOST - 1), `and ${found.length - MOST + 1} more`] : found;
}

function setDifferences({ sets }: Model, listed: Listing, known: Known): string[] {
  const found: string[] = [];
  for (const set of sets) {
    const about = `set "${setMeaning(set.meaning)}"`;
    const there = listed.sets.get(set.name);
    const fault = there === undefined ? 'it is gone' : setFault(set, there.fields);
    if (fault !== null) found.push(`${about}: ${fault}`);
    if (there === undefined || set.meaning.kind !== 'name') continue;
    const { host, family } = set.meaning;
    const wanted = known.get(host) ?? new Map<string, 'sure' | 'fading'>();
    const have = new Set(
      there.elements.map(({ key }) => canonicalAddress(String(key[0]))?.address ?? String(key[0])),
    );
    for (const [address, state] of wanted)
      if (address.includes(':') === (family === 6) && state === 'sure' && !have.has(address))
        found.push(`${about}: ${address} is gone from it`);
    for (const address of have)
      if (!wanted.has(address)) found.push(`${about}: ${address} is in it, though no look-up gave it`);
  }
  return found;
}

/** Where two rows of rules differ, after what is the same at both ends. */
function ruleDifferences(chain: Chain, listed: readonly Fields[], names: Meanings): string[] {
  const wanted = chain.rules.map((expr) => ({
    key: normalRule(expr).join('\n'),
    expr: ruleText(expr, names),
  }));
  const there = listed.map((rule) => ({ key: ruleKey(rule), expr: ruleText(rule.expr, names) }));
  let start = 0;
  while (start < wanted.length && wanted[start]?.key === there[start]?.key) start++;
  let end = 0;
  while (
    end < Math.min(wanted.length, there.length) - start &&
    wanted.at(-1 - end)?.key === there.at(-1 - end)?.key
  )
    end++;
  const about = `chain "${chain.meaning}"`;
  const lacking = wanted.slice(start, wanted.length - end);
  const extra = there.slice(start, there.length - end);
  const found: string[] = [];
  for (let i = 0; i < Math.max(lacking.length, extra.length); i++) {
    const [want, have] = [lacking[i]?.expr, extra[i]?.expr];
    const at = `rule ${start + i + 1}`;
    if (want === undefined) found.push(`${about}: ${at} was added: ${have}`);
    else if (have === undefined) found.push(`${about}: ${at} is gone: ${want}`);
    else if (lacking[i]?.key !== extra[i]?.key) found.push(`${about}: ${at} is "${have}", not "${want}"`);
  }
  return found;
}

/** With whatever a rule has beside its statements, of which ours have nothing. */
function ruleKey({ expr, ...others }: Fields): string {
  return [...normalRule(expr), ...Object.entries(others).map((entry) => JSON.stringify(entry))].join('\n');
}
