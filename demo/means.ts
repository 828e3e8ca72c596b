import { spawnSync } from 'node:child_process';

/** What a machine needs for real packets, and how each is asked after. */
const PROGRAMS = [
  ['ip', '-V'],
  ['nft', '--version'],
  ['setpriv', '--version'],
] as const;

/** Why the demo can't have network namespaces here; null when it can. Leaves nothing. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'this user is not root';
  for (const [program, argument] of PROGRAMS)
    if (spawnSync(program, [argument], { stdio: 'ignore' }).status !== 0)
      return `the program ${program} is not here`;
  const name = `plb-${process.pid}-try`;
  const made = spawnSync('ip', ['netns', 'add', name], { stdio: 'ignore' }).status === 0;
  const listed =
    made &&
    spawnSync('ip', ['netns', 'exec', name, 'nft', 'list', 'tables'], { stdio: 'ignore' }).status === 0;
  spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  if (!made) return 'this root may not make network namespaces';
  return listed ? null : 'nft does not work in a network namespace here';
}
