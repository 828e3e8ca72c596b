/** Keys and values as one block of memory, so that a batch crosses between threads by one transfer. Size -1: no value. */
export type Packed = { keys: readonly string[]; sizes: readonly number[]; bytes: Uint8Array<ArrayBuffer> };

export type Entry = { key: string; value: Uint8Array | null };

export function pack(entries: readonly Entry[]): Packed {
  let total = 0;
  for (const { value } of entries) total += value?.byteLength ?? 0;
  const bytes = new Uint8Array(total);
  const keys: string[] = [];
  const sizes: number[] = [];
  let at = 0;
  for (const { key, value } of entries) {
    keys.push(key);
    sizes.push(value?.byteLength ?? -1);
    if (value === null) continue;
    bytes.set(value, at);
    at += value.byteLength;
  }
  return { keys, sizes, bytes };
}

/** Values are windows on the block, not copies. */
export function unpack({ keys, sizes, bytes }: Packed): Entry[] {
  let at = 0;
  return keys.map((key, i) => {
    const size = sizes[i] ?? -1;
    if (size < 0) return { key, value: null };
    const value = bytes.subarray(at, at + size);
    at += size;
    return { key, value };
  });
}
