/** As the client library decodes a fetched message. */
export type FetchedMessage = {
  offset: string;
  timestamp: string;
  key: Buffer | null;
  value: Buffer | null;
  isControlRecord?: boolean;
  batchContext?: { producerId: string; inTransaction: boolean; firstOffset: string; lastOffsetDelta: number };
};

export type AbortedTransaction = { producerId: string; firstOffset: string };

/** A control record's key is its version and its type, two bytes each; type 0 ends an aborted transaction. */
const ABORT_TYPE = 0;

/**
 * What a reader of committed records sees: no control records, and nothing of a transaction that was aborted. An aborted
 * transaction of a producer begins at `firstOffset` and ends at that producer's next abort marker.
 */
export function visible(
  messages: readonly FetchedMessage[],
  aborted: readonly AbortedTransaction[],
): FetchedMessage[] {
  const ahead = [...aborted].sort((a, b) => Number(a.firstOffset) - Number(b.firstOffset));
  const within = new Set<string>();
  return messages.filter((message) => {
    while (ahead[0] !== undefined && Number(message.offset) >= Number(ahead[0].firstOffset)) {
      within.add(ahead[0].producerId);
      ahead.shift();
    }
    const producerId = message.batchContext?.producerId ?? '';
    if (message.isControlRecord === true) {
      if (message.key?.readInt16BE(2) === ABORT_TYPE) within.delete(producerId);
      return false;
    }
    return !(message.batchContext?.inTransaction === true && within.has(producerId));
  });
}
