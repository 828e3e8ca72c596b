import Type from 'typebox';

/** Query parameters of every list that pages. */
export const PageQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 512, description: '`next` of the page before' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: '100 unless told' })),
};
export const DEFAULT_LIMIT = 100;

/** A cursor says after which item to go on, so that a list may change between two pages. Its form is nobody's business. */
export function toCursor(after: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(after)).toString('base64url');
}

/** Null when it is not one of ours. */
export function fromCursor(cursor: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Items of an ordered list of names that follow the cursor; null when the cursor is not one of ours. */
export function pageOf<T>(
  names: readonly string[],
  { cursor, limit = DEFAULT_LIMIT }: { cursor?: string | undefined; limit?: number | undefined },
  item: (name: string) => T | undefined,
): { items: T[]; next: string | null } | null {
  const [after = ''] = cursor === undefined ? [''] : (fromCursor(cursor) ?? [null]);
  if (typeof after !== 'string') return null;
  const items: T[] = [];
  let last = '';
  for (const name of names) {
    if (name <= after) continue;
    const found = item(name);
    if (found === undefined) continue;
    if (items.length === limit) return { items, next: toCursor([last]) };
    items.push(found);
    last = name;
  }
  return { items, next: null };
}
