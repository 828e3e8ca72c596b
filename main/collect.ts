import { pino } from 'pino';
import type { LoadedConfig } from '../config.ts';
import packageJson from '../package.json' with { type: 'json' };
import { onStopSignal } from './process.ts';
import { startSite } from './site.ts';

const { version } = packageJson;

/** The collector of this machine, until it is told to stop. */
export async function collector({ config }: LoadedConfig): Promise<void> {
  const logger = pino({ level: config.logLevel }, pino.destination(2));
  const stop = onStopSignal(logger);
  const site = await startSite(config, version, logger, null, stop.signal);
  stop.undo(() => site.stop());
  process.stdout.write(
    `Collecting for site ${site.site} every ${config.interval / 1000} s; data in ${config.dataDir}. Ctrl-C stops it.\n`,
  );
}
