import type { KeyObject } from 'node:crypto';
import type { Hearing } from '../../core/freshness.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import type { Store } from '../../core/ports/store.ts';
import type { TableView } from '../../core/ports/table.ts';
import type { Commands } from '../commands.ts';
import type { Directory } from '../directory.ts';
import type { Fleet } from '../live/fleet.ts';
import type { Recompute } from '../policy/decisions.ts';
import type { Attempts } from '../sign-in/attempts.ts';
import type { SignIn } from '../sign-in/sign-in.ts';

/** What routes are made of; each takes what it needs. What only exists while the api runs is asked for at each request. */
export type RouteParts = {
  store: Store;
  master: KeyObject;
  version: string;
  mode: 'embedded' | 'distributed';
  clock: Clock;
  logger: Logger;
  metrics: Metrics & { expose(): Promise<string>; contentType: string };
  hearing: () => Hearing;
  dataDir: string | null;
  signIn: SignIn;
  attempts: Attempts;
  secure: boolean;
  /** The address under which others reach the hub, where its owner said one. */
  publicUrl?: string;
  /** The address that join tokens carry, and the pin that goes with it. */
  entrance: () => { url: string; pin: string | null };
  fleet: () => Fleet;
  directory: () => Directory;
  commands: () => Commands;
  /** Table `specs`: the signed content of every generation. */
  specs: () => TableView;
  /** Null where the verdict of stored rows can't be asked for. */
  recompute: Recompute | null;
};
