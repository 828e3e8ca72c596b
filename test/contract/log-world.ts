import type {
  Log,
  LogBatch,
  LogRecord,
  NewRecord,
  SubscribeOptions,
  Subscription,
} from '../../core/ports/log.ts';

/** A log to try the contract on, on a real part, with nothing in it. */
export type LogWorld = {
  readonly log: Log;
  /** How many partitions each topic was asked to have. */
  readonly partitions: number;
  /** Whether retention waits for the groups. */
  readonly keepsUnread: boolean;
  /** Makes everything appended so far go, as retention does; where it waits for the groups, what all of them have read. */
  expire(): Promise<void>;
  close(): Promise<void>;
};
export type OpenLog = () => Promise<LogWorld>;

const PATIENCE_MS = 25_000;

export async function within(open: OpenLog, body: (world: LogWorld) => Promise<void>): Promise<void> {
  const world = await open();
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

export function record(key: string, text: string): NewRecord {
  return { key, value: Buffer.from(text) };
}

/** `count` records over as many keys as make every partition likely to have some. */
export function records(count: number, prefix = 'r'): NewRecord[] {
  return Array.from({ length: count }, (_, i) => record(`site-${i % 40}`, `${prefix}${i}`));
}

export const textOf = ({ value }: { value: Uint8Array }): string => Buffer.from(value).toString();
export const placeOf = ({ topic, partition }: LogRecord): string => `${topic}/${partition}`;

export function subscribe(log: Log, options: Partial<SubscribeOptions> = {}): Promise<Subscription> {
  return log.subscribe({
    group: 'readers',
    topics: ['reports'],
    maxRecords: 500,
    maxWaitMs: 200,
    ...options,
  });
}

/** The next batch that has anything, however often there is none at first. */
export async function nextBatch(subscription: Subscription): Promise<LogBatch> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const batch = await subscription.next();
    if (batch !== null) return batch;
  }
  throw new Error('no batch came');
}

/** Reads and commits until it has `count` records, or `isEnough` says so; fenced batches count as not read. */
export async function readAll(
  subscription: Subscription,
  count: number,
  isEnough: (read: readonly LogRecord[]) => boolean = (read) => read.length >= count,
): Promise<LogRecord[]> {
  const read: LogRecord[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  while (!isEnough(read)) {
    if (performance.now() > deadline) throw new Error(`${read.length} of ${count} records came`);
    const batch = await subscription.next();
    if (batch !== null && (await subscription.commit(batch)).ok) read.push(...batch.records);
  }
  return read;
}

/** Whether nothing comes for as long as a subscription waits, some times over. */
export async function staysSilent(subscription: Subscription): Promise<boolean> {
  for (let i = 0; i < 4; i++) if ((await subscription.next()) !== null) return false;
  return true;
}
