import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openStore } from '../adapters/clickhouse/open.ts';
import { openKafka } from '../adapters/kafka/open.ts';
import { createMetrics } from '../adapters/prometheus/metrics.ts';
import { openSqlite } from '../adapters/sqlite/open.ts';
import { ensureAuthority } from '../adapters/tls/authority.ts';
import { readCertificate } from '../adapters/tls/certificate.ts';
import { createAggregator } from '../aggregator/aggregator.ts';
import { createCensus } from '../aggregator/census.ts';
import { createApi } from '../api/api.ts';
import type { Config } from '../config.ts';
import { systemClock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import { sha256 } from '../core/seal.ts';
import { createControl } from '../policy/control.ts';
import { createEvidence } from '../policy/evidence/evidence.ts';
import { openHearing } from './hearing.ts';
import type { Home } from './home.ts';
import { keepHouse } from './housekeeping.ts';
import { lasting } from './lasting.ts';

const WEB_DIR = fileURLToPath(new URL('../web/dist', import.meta.url));

export type Hub = {
  start(): Promise<{ url: string; signInUrl: string; ca: string | null }>;
  stop(): Promise<void>;
};

/** Every role of a hub in one process. `onLost` is called when another hub has taken over and this one must end. */
export async function composeHub(
  config: Config,
  home: Home,
  version: string,
  logger: Logger,
  onLost: () => void,
): Promise<Hub> {
  const clock = systemClock;
  const metrics = createMetrics();
  const { log, table } = openLogs(config, logger);
  const store = openStore(
    config.clickhouseUrl === '' ? { path: join(config.dataDir, 'store') } : { url: config.clickhouseUrl },
    { logger },
  );
  const tls = await certificateOf(config);
  const { master, policyKeys: keyring } = home;
  const aggregator = createAggregator({
    log,
    table,
    store,
    master,
    clock,
    logger,
    metrics,
    spoolMaxAgeMs: config.spoolMaxAge,
  });
  const hearing = openHearing(clock, aggregator);
  const census = createCensus({ store, clock, logger });
  const evidence = createEvidence({ store });
  const housekeeping = keepHouse(log, logger);
  const ports = { log, table, store, clock, logger, metrics, hearing: hearing.now };
  const control = lasting(
    (onOutage) => createControl({ ...ports, census, keyring, evidence, onFenced: onLost, onLost: onOutage }),
    logger,
  );
  const api = createApi({
    log,
    table,
    store,
    master,
    tls,
    listen: config.listen,
    ...(config.publicUrl !== '' && { publicUrl: config.publicUrl }),
    adminTokenHash: sha256(home.adminToken).toString('hex'),
    webDir: WEB_DIR,
    dataDir: config.dataDir,
    version,
    mode: config.kafkaBrokers.length === 0 ? 'embedded' : 'distributed',
    clock,
    logger,
    metrics,
    hearing: hearing.now,
    recompute: evidence.recompute,
  });
  const parts = [log, table, store, housekeeping, aggregator, hearing, control, api];
  return {
    async start() {
      for (const part of parts.slice(0, -1)) await part.start();
      const { url, oneTimeSignInUrl } = await api.start();
      return { url, signInUrl: oneTimeSignInUrl, ca: tls?.ca ?? null };
    },
    async stop() {
      for (const part of parts.toReversed()) await part.stop();
    },
  };
}

function openLogs(config: Config, logger: Logger) {
  const { partitions, logRetention: retentionMs } = config;
  if (config.kafkaBrokers.length === 0)
    return openSqlite({
      dir: config.dataDir,
      partitions,
      retentionMs,
      retentionBytes: config.logMaxSize,
      logger,
    });
  const { kafkaBrokers: brokers, kafkaPrefix: prefix, kafkaReplication: replicationFactor } = config;
  return openKafka({ brokers, prefix, partitions, replicationFactor, retentionMs, logger });
}

/** None on loopback; the operator's own when given; otherwise one that the hub makes. */
async function certificateOf(config: Config) {
  if (config.tlsCert !== '')
    return readCertificate({ cert: config.tlsCert, key: config.tlsKey, ca: config.tlsCa });
  if (isLoopback(config.listen.host)) return null;
  return ensureAuthority({ dir: join(config.dataDir, 'tls'), hosts: ownNames(config) });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** Every name and address under which a browser may reach this hub. */
function ownNames(config: Config): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  const named = config.publicUrl === '' ? [] : [new URL(config.publicUrl).hostname];
  return [
    ...new Set(['localhost', '127.0.0.1', '::1', hostname(), config.listen.host, ...addresses, ...named]),
  ].filter((name) => name !== '0.0.0.0' && name !== '::' && !name.startsWith('fe80'));
}
