import type { TopicName } from '../../core/ports/log.ts';
import type { Place, Span } from './protocol.ts';

/** Where each partition begins and ends, kept beside the file so that nobody has to ask it whether there is news. */
export class Heads {
  readonly #spans = new Map<string, Span>();
  readonly #listeners = new Set<() => void>();

  reset(spans: readonly Span[]): void {
    this.#spans.clear();
    for (const span of spans) this.#spans.set(`${span.topic}/${span.partition}`, { ...span });
  }

  spans(): Iterable<Readonly<Span>> {
    return this.#spans.values();
  }

  partitionsOf(topic: TopicName): number {
    let count = 0;
    for (const span of this.#spans.values()) if (span.topic === topic) count += 1;
    return count;
  }

  of(topic: TopicName, partition: number): Readonly<Span> {
    const span = this.#spans.get(`${topic}/${partition}`);
    if (span === undefined) throw new RangeError(`no partition ${partition} of ${topic}`);
    return span;
  }

  appended(places: readonly Place[]): void {
    for (const { topic, partition, offset } of places) this.#move(topic, partition, { next: offset });
    for (const listener of this.#listeners) listener();
  }

  removed(places: readonly Place[]): void {
    for (const { topic, partition, offset } of places) this.#move(topic, partition, { low: offset });
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #move(topic: TopicName, partition: number, to: Partial<Pick<Span, 'low' | 'next'>>): void {
    const span = this.of(topic, partition);
    this.#spans.set(`${topic}/${partition}`, { ...span, ...to });
  }
}
