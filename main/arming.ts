import { existsSync } from 'node:fs';
import { pino } from 'pino';
import { createNftEnforcer } from '../adapters/nft/enforcer.ts';
import { openSpool } from '../adapters/sqlite/spool.ts';
import type { LoadedConfig } from '../config.ts';
import { systemClock } from '../core/ports/clock.ts';
import { EnforcerError } from '../core/ports/enforcer.ts';
import { SpoolError } from '../core/ports/spool.ts';
import { createDisarmMarker } from './disarm-marker.ts';
import { SiteError } from './site-error.ts';
import { bootFileIn, spoolIn } from './site-files.ts';

/** Lets go of every policy of this machine, whether or not its collector runs. */
export async function disarm({ config }: LoadedConfig): Promise<void> {
  const marker = markerOf(config.dataDir);
  marker.set();
  if (await isCollecting(config.dataDir)) {
    process.stdout.write(
      'Disarmed: the collector lets go of every policy now. `plumbline arm` takes them up again.\n',
    );
    return;
  }
  const logger = pino({ level: config.logLevel }, pino.destination(2));
  const enforcer = createNftEnforcer({ clock: systemClock, logger, bootFile: bootFileIn(config.dataDir) });
  try {
    await enforcer.withdraw();
  } catch (error) {
    if (!(error instanceof EnforcerError)) throw error;
    throw new SiteError(
      `the collector will let go when it starts, but it does not run now, and this process can't: ${error.detail}`,
    );
  } finally {
    await enforcer.stop();
  }
  process.stdout.write(
    'Disarmed: nothing is enforced here any more. `plumbline arm` before the next start ends that.\n',
  );
}

/** Ends what `disarm` began; a collector that runs puts its policies in force again at once. */
export async function arm({ config }: LoadedConfig): Promise<void> {
  const marker = markerOf(config.dataDir);
  const wasSet = marker.isSet();
  marker.clear();
  const what = wasSet ? 'Armed: the collector obeys its policies again' : 'It was not disarmed';
  process.stdout.write(`${what}.\n`);
}

function markerOf(dataDir: string): ReturnType<typeof createDisarmMarker> {
  if (!existsSync(spoolIn(dataDir)))
    throw new SiteError(
      `no collector has ever run with ${dataDir}; name its data directory with --data-dir or PLUMBLINE_DATA_DIR`,
    );
  return createDisarmMarker(dataDir);
}

/** A collector that runs holds the lock of its spool. */
async function isCollecting(dataDir: string): Promise<boolean> {
  const spool = openSpool({ path: spoolIn(dataDir) });
  try {
    await spool.start();
  } catch (error) {
    if (error instanceof SpoolError && error.code === 'locked') return true;
    throw error;
  }
  await spool.stop();
  return false;
}
