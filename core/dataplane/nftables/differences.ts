import { canonicalAddress } from '../../policy/destination.ts';
import type { Fields, Listing } from './listing.ts';
import { type Chain, type Model, setMeaning } from './model.ts';
import { normalRule } from './normal-form.ts';
import { chainFault, setFault } from './shape.ts';
import { type Meanings, meanings, ruleText } from './words.ts';

/** `sure`: the address has to be there. `fading`: its time is about over, so that it may be. By name and address. */
export type Known = ReadonlyMap<string, ReadonlyMap<string, 'sure' | 'fading'>>;

const MOST = 32;
const MOST_SPELLINGS = 1000;

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
  const wanted = chain.rules;
  const { wantedKeys, spellings } = remembered(chain);
  const keys = listed.map((rule) => listedKey(rule, spellings));
  let start = 0;
  while (start < wanted.length && wantedKeys[start] === keys[start]) start++;
  let end = 0;
  while (end < Math.min(wanted.length, keys.length) - start && wantedKeys.at(-1 - end) === keys.at(-1 - end))
    end++;
  const found: string[] = [];
  for (let i = start; i < Math.max(wanted.length, keys.length) - end; i++) {
    if (i < Math.min(wanted.length, keys.length) - end && wantedKeys[i] === keys[i]) continue;
    const want = i < wanted.length - end ? ruleText(wanted[i], names) : null;
    const have = i < keys.length - end ? ruleText(listed[i]?.expr, names) : null;
    const what =
      want === null
        ? `was added: ${have}`
        : have === null
          ? `is gone: ${want}`
          : `is "${have}", not "${want}"`;
    found.push(`chain "${chain.meaning}": rule ${i + 1} ${what}`);
  }
  return found;
}

type Remembered = { wantedKeys: readonly string[]; spellings: Map<string, string> };

/** Models do not change, and tables seldom: what was worked out once stays with the chain, and goes with it. */
const memory = new WeakMap<Chain, Remembered>();

function remembered(chain: Chain): Remembered {
  const before = memory.get(chain);
  if (before !== undefined) return before;
  const wantedKeys = chain.rules.map((expr) => normalRule(expr).join('\n'));
  const now = { wantedKeys, spellings: new Map<string, string>() };
  memory.set(chain, now);
  return now;
}

/** With whatever a rule has beside its statements, of which ours have nothing. */
function listedKey(rule: Fields, spellings: Map<string, string>): string {
  const { expr, ...others } = rule;
  const spelling = JSON.stringify([expr, others]);
  const before = spellings.get(spelling);
  if (before !== undefined) return before;
  const key = [...normalRule(expr), ...Object.entries(others).map((entry) => JSON.stringify(entry))].join(
    '\n',
  );
  if (spellings.size >= MOST_SPELLINGS) spellings.clear();
  spellings.set(spelling, key);
  return key;
}
