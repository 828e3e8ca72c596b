import type { Keyring } from '../../core/policy/sign.ts';
import { makeKeyLine, readKeyLine } from '../../main/policy-key.ts';

/** Keys as a hub keeps them, without its files. */
export function testKeyring(): Keyring {
  const lines: string[] = [];
  return {
    keys(atLeast) {
      while (lines.length < atLeast) lines.push(makeKeyLine());
      return lines.flatMap((line) => readKeyLine(line) ?? []);
    },
  };
}
