import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';

/*
 * A network of one's own: one namespace with a bridge, and one namespace a host, each on the bridge by a veth pair
 * with an address in 10.77.0.0/24 and the same in fd77::/64. Names begin with plb- and the id of this process, so that what a killed one left
 * is recognised and removed by the next.
 */
const PREFIX = 'plb-';

export type Network = {
  /** Makes a host and gives its namespace's name. */
  host(name: string, address: number): string;
  addressOf(address: number): string;
  addressOf6(address: number): string;
  /** Gives a host one more address of each family. */
  alias(name: string, address: number): void;
  /** Has processes of a host look names up at these servers, in turn. To be called before they start. */
  resolver(name: string, ...servers: readonly string[]): void;
  /** Takes a host's cable out, or puts it back. */
  cable(name: string, plugged: boolean): void;
  /** Runs nft inside a host's namespace. */
  nft(name: string, script: string): void;
  /** What is in force in a host's namespace, as nft lists it. */
  ruleset(name: string): string;
  remove(): void;
};

export function createNetwork(): Network {
  sweep();
  const id = `${PREFIX}${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
  const namespaces: string[] = [];
  const bridge = `${id}-br`;
  const remove = () => {
    process.off('exit', remove);
    for (const namespace of namespaces.splice(0)) {
      ip('netns', 'delete', namespace);
      rmSync(filesOf(namespace), { recursive: true, force: true });
    }
  };
  process.on('exit', remove);
  const add = (namespace: string) => {
    ip('netns', 'add', namespace);
    namespaces.push(namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  };
  add(bridge);
  ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
  ip('-n', bridge, 'link', 'set', 'br0', 'up');
  const namespaceOf = (name: string) => `${id}-${name}`;
  return {
    host(name, address) {
      const namespace = namespaceOf(name);
      add(namespace);
      const port = `p${address}`;
      ip('-n', bridge, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      ip('-n', bridge, 'link', 'set', port, 'master', 'br0', 'up');
      give(namespace, address);
      ip('-n', namespace, 'link', 'set', 'eth0', 'up');
      return namespace;
    },
    addressOf,
    addressOf6,
    // What the host sends by itself comes from its first address, as over IPv4.
    alias: (name, address) => give(namespaceOf(name), address, 'preferred_lft', '0'),
    resolver(name, ...servers) {
      // `ip netns exec` shows these files at /etc.
      const files = filesOf(namespaceOf(name));
      mkdirSync(files, { recursive: true });
      const lines = [...servers.map((server) => `nameserver ${server}`), 'options timeout:1 attempts:2'];
      writeFileSync(`${files}/resolv.conf`, `${lines.join('\n')}\n`);
    },
    cable(name, plugged) {
      ip('-n', namespaceOf(name), 'link', 'set', 'eth0', plugged ? 'up' : 'down');
    },
    nft(name, script) {
      execFileSync('ip', ['netns', 'exec', namespaceOf(name), 'nft', '-f', '-'], {
        input: script,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
    },
    ruleset(name) {
      return execFileSync('ip', ['netns', 'exec', namespaceOf(name), 'nft', 'list', 'ruleset'], {
        encoding: 'utf8',
      });
    },
    remove,
  };
}

function addressOf(address: number): string {
  return `10.77.0.${address}`;
}

function addressOf6(address: number): string {
  return `fd77::${address}`;
}

function give(namespace: string, address: number, ...options: string[]): void {
  ip('-n', namespace, 'addr', 'add', `${addressOf(address)}/24`, 'dev', 'eth0');
  // Nobody else has it: it need not be asked for first.
  const six = ['add', `${addressOf6(address)}/64`, 'dev', 'eth0', 'nodad', ...options];
  ip('-n', namespace, '-6', 'addr', ...six);
}

function filesOf(namespace: string): string {
  return `/etc/netns/${namespace}`;
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Removes namespaces whose process is no more. */
function sweep(): void {
  const listed = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const line of listed.split('\n')) {
    const name = line.split(' ')[0] ?? '';
    const pid = /^plb-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    ip('netns', 'delete', name);
    rmSync(filesOf(name), { recursive: true, force: true });
  }
}
