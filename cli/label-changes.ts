import { Compile } from 'typebox/compile';
import { Labels } from '../core/model/site.ts';
import { reservedLabel } from '../core/site-labels.ts';
import { EXIT, Refusal } from './exit.ts';

const labels = Compile(Labels);

/** Changes of given labels: a value sets one, null takes it away. */
export type LabelChanges = Record<string, string | null>;

/** Reads `key=value` (set) and, where allowed, `key-` (take away). */
export function readLabelChanges(texts: readonly string[], mayRemove: boolean): LabelChanges {
  const changes: LabelChanges = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    const isRemoval = mayRemove && at < 0 && text.endsWith('-');
    if (at < 1 && !isRemoval)
      throw new Refusal(
        EXIT.usage,
        `"${text}" is not a label; write key=value${mayRemove ? ', or key- to take it away' : ''}.`,
      );
    const key = isRemoval ? text.slice(0, -1) : text.slice(0, at);
    const value = isRemoval ? null : text.slice(at + 1);
    if (!labels.Check({ [key]: value ?? '' }))
      throw new Refusal(
        EXIT.usage,
        `"${text}" is not a label: keys and values are up to 63 letters, digits, ".", "_" and "-", beginning and ending with a letter or digit.`,
      );
    if (reservedLabel({ [key]: '' }) !== null)
      throw new Refusal(
        EXIT.usage,
        `"${key}" can't be given: this prefix is for what sites say of themselves.`,
      );
    changes[key] = value;
  }
  return changes;
}

/** The labels that `changes` only sets. */
export function setLabels(changes: LabelChanges): Labels {
  const set: Labels = {};
  for (const [key, value] of Object.entries(changes)) if (value !== null) set[key] = value;
  return set;
}
