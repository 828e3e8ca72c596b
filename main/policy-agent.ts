import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { createForwarder } from '../adapters/dns/forwarder.ts';
import { createNameResolver } from '../adapters/dns/names.ts';
import { createConnections } from '../adapters/linux/connections.ts';
import { createNftEnforcer } from '../adapters/nft/enforcer.ts';
import { createProber } from '../adapters/probing/prober.ts';
import { type Agent, createAgent } from '../collectors/agent/agent.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { PolicyLink } from '../core/ports/policy-link.ts';
import type { Spool } from '../core/ports/spool.ts';
import { rememberedFaults } from './compile-faults.ts';
import { createDisarmMarker } from './disarm-marker.ts';
import { bootFileIn } from './site-files.ts';
import { workloadsOf } from './workloads.ts';

export type PolicyAgentOptions = {
  config: Config;
  site: string;
  /** The hub's address. */
  url: string;
  link: PolicyLink;
  spool: Spool;
  /** Corrected by the hub's. */
  clock: Clock;
  logger: Logger;
};

/** The agent of this machine with all that it needs, to be started before the uplink. */
export function composeAgent(options: PolicyAgentOptions): Pick<Agent, 'start' | 'stop' | 'probe'> {
  const { config, site, url, link, spool, clock, logger } = options;
  const { enabled } = config.enforcement;
  const memory = { keep: spool.keep, kept: spool.kept };
  const names = createNameResolver({ memory, clock, logger });
  const forwarder =
    enabled && config.dnsForwarder !== 'off'
      ? createForwarder({ listen: config.dnsForwarder, servers: new Resolver().getServers(), names, logger })
      : null;
  const agent = createAgent({
    site,
    enabled,
    // Where enforcement is off and never was on, it does not so much as look.
    enforcer: createNftEnforcer({ clock, logger, bootFile: bootFileIn(config.dataDir) }),
    link,
    memory,
    workloads: workloadsOf(config),
    endpoints: () => endpointsOf(url),
    compileFaults: rememberedFaults(),
    names,
    prober: createProber(config.probePorts),
    connections: createConnections(),
    marker: createDisarmMarker(config.dataDir),
    clock,
    logger,
    intervalMs: config.interval,
    confirmWindowMs: config.confirmWindow,
    uid: process.getuid?.() ?? 0,
    probePorts: config.probePorts,
  });
  return {
    probe: agent.probe,
    async start() {
      await agent.start();
      // Without it names are only less precise, so that nothing waits for it and nothing ends with it.
      await forwarder?.start().catch((error: unknown) => {
        logger.error(
          { why: String(error), remedy: 'choose another dnsForwarder' },
          'dns-forwarder.not-started',
        );
      });
    },
    async stop() {
      await forwarder?.stop();
      await agent.stop();
    },
  };
}

/** Where the collector itself has to get through: its hub, and the machine's resolvers. */
async function endpointsOf(url: string) {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const found = isIP(host) !== 0 ? [{ address: host }] : await lookup(host, { all: true });
  const hub = found.map(({ address }) => ({
    address,
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    protocol: 'TCP' as const,
  }));
  const resolvers = new Resolver().getServers().flatMap((server) => {
    const [, six, four, custom] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(server) ?? [];
    const address = six ?? four ?? server;
    if (isIP(address) === 0) return [];
    const to = { address, port: Number(custom ?? 53) };
    return [
      { ...to, protocol: 'TCP' as const },
      { ...to, protocol: 'UDP' as const },
    ];
  });
  return [...hub, ...resolvers];
}
