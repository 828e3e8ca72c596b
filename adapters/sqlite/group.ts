import type { TopicName } from '../../core/ports/log.ts';
import type { Heads } from './heads.ts';
import type { Place } from './protocol.ts';

/** One subscription's hold on a partition. It ends when the partition moves: another claim on it is another object. */
export type Claim = {
  readonly topic: TopicName;
  readonly partition: number;
  /** The next record to hand out, and the next one to commit. */
  position: number;
  committed: number;
};

export interface Member {
  readonly topics: readonly TopicName[];
  readonly claims: ReadonlyMap<string, Claim>;
  assign(claims: ReadonlyMap<string, Claim>): void;
}

export const claimKey = (topic: TopicName, partition: number): string => `${topic}/${partition}`;

/** Divides the partitions among the members: partition n of every topic goes to the same one. */
export class Group {
  readonly name: string;
  readonly #heads: Heads;
  readonly #positions = new Map<string, number>();
  #members: readonly Member[] = [];

  constructor(name: string, heads: Heads, positions: readonly Place[]) {
    this.name = name;
    this.#heads = heads;
    for (const { topic, partition, offset } of positions) {
      this.#positions.set(claimKey(topic, partition), offset);
    }
  }

  join(member: Member): void {
    this.#members = [...this.#members, member];
    this.#divide();
  }

  leave(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member);
    member.assign(new Map());
    this.#divide();
  }

  /** Where it begins in what it has no position of yet. */
  unknown(topics: readonly TopicName[]): Place[] {
    return [...this.#heads.spans()]
      .filter(
        ({ topic, partition }) => topics.includes(topic) && !this.#positions.has(claimKey(topic, partition)),
      )
      .map(({ topic, partition, low }) => ({ topic, partition, offset: low }));
  }

  /** From now on whoever gets the partition begins here. */
  moveForward(claim: Claim, offset: number): void {
    claim.committed = Math.max(claim.committed, offset);
    const key = claimKey(claim.topic, claim.partition);
    this.#positions.set(key, Math.max(claim.committed, this.#positions.get(key) ?? 0));
  }

  #divide(): void {
    const shares = new Map<Member, Map<string, Claim>>(this.#members.map((member) => [member, new Map()]));
    for (const { topic, partition, low } of this.#heads.spans()) {
      const readers = this.#members.filter((member) => member.topics.includes(topic));
      const owner = readers[partition % Math.max(1, readers.length)];
      if (owner === undefined) continue;
      const key = claimKey(topic, partition);
      const start = this.#positions.get(key) ?? low;
      const claim = owner.claims.get(key) ?? { topic, partition, position: start, committed: start };
      shares.get(owner)?.set(key, claim);
    }
    for (const [member, share] of shares) member.assign(share);
  }
}
