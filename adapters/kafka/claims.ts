import type { LogRecord, TopicName } from '../../core/ports/log.ts';
import type { Assignment } from './membership.ts';
import type { Fetched, Place } from './reader.ts';

/** One subscription's hold on a partition. It ends when the partition moves: another claim on it is another object. */
export type Claim = {
  readonly name: TopicName;
  readonly topic: string;
  readonly partition: number;
  /** Where the group stands, and what to fetch next; -1 until asked for. */
  committed: number;
  fetchAt: number;
  buffer: LogRecord[];
};

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/** The partitions that are ours, and what was fetched of them but not handed out. */
export class Claims {
  readonly #names: ReadonlyMap<string, TopicName>;
  #claims: ReadonlyMap<string, Claim> = new Map();
  #memberId: string | null = null;
  #turn = 0;
  bufferedBytes = 0;
  skipped = 0;

  constructor(names: ReadonlyMap<string, TopicName>) {
    this.#names = names;
  }

  get joined(): boolean {
    return this.#memberId !== null;
  }

  all(): Claim[] {
    return [...this.#claims.values()];
  }

  holds(claim: Claim): boolean {
    return this.#claims.get(keyOf(claim.topic, claim.partition)) === claim;
  }

  /** A member that keeps its id was in every generation since: what it still has, nobody else had meanwhile. */
  assign(assignment: Assignment | null): void {
    const stayed = assignment !== null && assignment.memberId === this.#memberId;
    const before = this.#claims;
    const claims = new Map<string, Claim>();
    for (const { topic, partition } of assignment?.partitions ?? []) {
      const name = this.#names.get(topic);
      if (name === undefined) continue;
      const key = keyOf(topic, partition);
      const kept = stayed ? before.get(key) : undefined;
      claims.set(key, kept ?? { name, topic, partition, committed: -1, fetchAt: -1, buffer: [] });
    }
    this.#claims = claims;
    this.#memberId = assignment?.memberId ?? null;
    this.#count();
  }

  /** Where a new claim begins: where the group stands, or at the oldest record if that is gone or never was. */
  begin(claim: Claim, committed: number, oldest: number): void {
    if (committed >= 0 && committed < oldest) this.skipped += oldest - committed;
    claim.committed = Math.max(committed, oldest);
    claim.fetchAt = claim.committed;
  }

  /** Retention has overtaken what was to be fetched. */
  overtaken(claim: Claim, oldest: number): void {
    if (oldest > claim.fetchAt) this.skipped += oldest - claim.fetchAt;
    claim.fetchAt = oldest;
  }

  /** Everything not committed will be handed out again. */
  rewind(claim: Claim): void {
    claim.fetchAt = claim.committed;
    claim.buffer = [];
    this.#count();
  }

  /** Takes in what was fetched, unless the partition moved or was rewound meanwhile. */
  accept({ topic, partition, fromOffset, messages, nextOffset }: Fetched): void {
    const claim = this.#claims.get(keyOf(topic, partition));
    if (claim === undefined || claim.fetchAt !== fromOffset) return;
    claim.fetchAt = nextOffset;
    for (const { offset, timestamp, key, value } of messages) {
      if (value === null) continue;
      this.bufferedBytes += value.byteLength;
      claim.buffer.push({
        topic: claim.name,
        partition,
        offset: Number(offset),
        key: key?.toString() ?? '',
        value,
        appendedAtMs: Number(timestamp),
      });
    }
  }

  /** An equal share of each partition first, beginning with another one each time. */
  take(maxRecords: number): Map<Claim, LogRecord[]> {
    const ready = this.all().filter(({ buffer }) => buffer.length > 0);
    this.#turn += 1;
    const first = ready.length === 0 ? 0 : this.#turn % ready.length;
    const turn = [...ready.slice(first), ...ready.slice(0, first)];
    const taken = new Map<Claim, LogRecord[]>();
    let room = maxRecords;
    turn.forEach((claim, i) => {
      const share = Math.ceil(room / (turn.length - i));
      if (share <= 0) return;
      const records = claim.buffer.splice(0, share);
      room -= records.length;
      for (const { value } of records) this.bufferedBytes -= value.byteLength;
      taken.set(claim, records);
    });
    return taken;
  }

  places(): Place[] {
    return this.all()
      .filter(({ fetchAt }) => fetchAt >= 0)
      .map(({ topic, partition, fetchAt }) => ({ topic, partition, offset: fetchAt }));
  }

  #count(): void {
    let bytes = 0;
    for (const { buffer } of this.#claims.values()) for (const { value } of buffer) bytes += value.byteLength;
    this.bufferedBytes = bytes;
  }
}
