import { spawnSync } from 'node:child_process';
import type { Tier } from './tier.ts';

/** What the machine lacks for a tier, and how it is had on Debian. */
export type Missing = { what: string; remedy: string };

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'];

export function missingFor(tier: Tier): Missing[] {
  switch (tier) {
    case 'check':
    case 'unit':
      return [];
    case 'contract':
      return kafkaNeeds();
    case 'e2e':
      return [
        ...need(isThere('setpriv', '--version'), 'setpriv', 'apt-get install util-linux'),
        ...need(isThere('python3', '--version'), 'Python 3', 'apt-get install python3'),
      ];
    case 'namespaces':
      return namespaceNeeds();
    case 'kafka-namespaces':
      return [...kafkaNeeds(), ...namespaceNeeds()];
    case 'browser':
      return need(
        CHROMIUM.some((name) => isThere(name, '--version')),
        'Chromium',
        'apt-get install chromium',
      );
  }
}

function kafkaNeeds(): Missing[] {
  return [
    ...need(javaVersion() >= 17, 'Java 17 or later', 'apt-get install openjdk-17-jdk-headless'),
    ...need(isThere('mvn', '--version'), 'Maven', 'apt-get install maven'),
  ];
}

function namespaceNeeds(): Missing[] {
  const missing = [
    ...need(isThere('ip', '-V'), 'ip', 'apt-get install iproute2'),
    ...need(isThere('nft', '--version'), 'nft', 'apt-get install nftables'),
    ...need(isThere('systemd-analyze', '--version'), 'systemd-analyze', 'apt-get install systemd'),
    ...need(process.getuid?.() === 0, 'the rights of root', 'run `npm test` as root'),
  ];
  if (missing.length > 0) return missing;
  const name = `plb-${process.pid}-try`;
  const made = spawnSync('ip', ['netns', 'add', name]).status === 0;
  spawnSync('ip', ['netns', 'delete', name]);
  return need(
    made,
    'the right to make network namespaces',
    'give the container CAP_SYS_ADMIN and CAP_NET_ADMIN',
  );
}

function need(isMet: boolean, what: string, remedy: string): Missing[] {
  return isMet ? [] : [{ what, remedy }];
}

function isThere(command: string, argument: string): boolean {
  return spawnSync(command, [argument], { stdio: 'ignore' }).status === 0;
}

function javaVersion(): number {
  const { stderr, status } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  return status === 0 ? Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) : 0;
}
