import { pino } from 'pino';
import type { LoadedConfig } from '../config.ts';
import packageJson from '../package.json' with { type: 'json' };
import { greeting } from './greeting.ts';
import { openHome } from './home.ts';
import { composeHub } from './hub.ts';
import { localHub } from './local-hub.ts';
import { onStopSignal } from './process.ts';
import { startSite } from './site.ts';

const { version } = packageJson;

/** A hub with this machine as its first site, until it is told to stop. */
export async function up({ config }: LoadedConfig): Promise<void> {
  const logger = pino({ level: config.logLevel }, pino.destination(2));
  const home = openHome(config.dataDir);
  const stop = onStopSignal(logger);
  const hub = await composeHub(config, home, version, logger, () =>
    stop.now('another hub has taken over this data'),
  );
  stop.undo(() => hub.stop());
  const { url, signInUrl, ca } = await hub.start();
  home.announce(url, ca);
  stop.undo(async () => home.unannounce());
  const log = config.kafkaBrokers.length > 0 ? `Kafka at ${config.kafkaBrokers.join(', ')}` : 'SQLite';
  process.stdout.write(
    greeting({
      url,
      signInUrl,
      dataDir: config.dataDir,
      site: config.localSite ? config.site : null,
      log,
      readyInS: process.uptime(),
    }),
  );
  if (!config.localSite) return;
  const local = localHub({ url, ca, token: home.adminToken }, config.site);
  const site = await startSite(config, version, logger, local, stop.signal);
  stop.undo(() => site.stop());
}
