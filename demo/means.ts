import { spawnSync } from 'node:child_process';

/** What a machine needs for real packets, and how each is asked after. */
const PROGRAMS = [
  ['ip', '-V'],
  ['nft', '--version'],
  ['setpriv', '--version'],
] as const;

/** A rule of the kinds that a policy is made of. */
const RULES = `table inet try {
  chain out { type filter hook output priority 0; meta skuid 1 meta l4proto tcp counter reject with tcp reset; }
}`;

/** Why the demo can't have network namespaces here; null when it can. Leaves nothing. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'this user is not root';
  for (const [program, argument] of PROGRAMS)
    if (!works(program, [argument])) return `the program ${program} is not here`;
  const name = `plb-${process.pid}-try`;
  if (!works('ip', ['netns', 'add', name])) return 'this root may not make network namespaces';
  const bridges =
    works('ip', ['-n', name, 'link', 'add', 'br0', 'type', 'bridge']) &&
    works('ip', ['-n', name, 'link', 'add', 'p1', 'type', 'veth', 'peer', 'name', 'p2']);
  const filters = works('ip', ['netns', 'exec', name, 'nft', '-f', '-'], RULES);
  works('ip', ['netns', 'delete', name]);
  if (!bridges) return 'the kernel has no bridges or veth pairs for this root';
  return filters ? null : 'nft can not make rules in a network namespace here';
}

function works(program: string, argv: readonly string[], input = ''): boolean {
  return spawnSync(program, argv, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}
