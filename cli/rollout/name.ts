import { EXIT, Refusal } from '../exit.ts';

/** Where the API has the rollout of a policy written as `allowlist/NAME`. */
export function rolloutPath(text: string): { name: string; path: string } {
  const [kind = '', name = '', ...more] = text.split('/');
  if (kind.toLowerCase() !== 'allowlist' || name === '' || more.length > 0)
    throw new Refusal(EXIT.usage, `"${text}" names no rollout; write allowlist/NAME.`);
  return { name, path: `/api/v1/rollouts/Allowlist/${encodeURIComponent(name)}` };
}
