/** What the broker said, however often the client library has wrapped it. */
export function failureTypes(error: unknown): string[] {
  const types: string[] = [];
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if ('type' in at && typeof at.type === 'string') types.push(at.type);
  }
  return types;
}

const FENCED = ['INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING'];
const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'];

export const isFenced = (error: unknown): boolean =>
  failureTypes(error).some((type) => FENCED.includes(type));
export const isTooLarge = (error: unknown): boolean =>
  failureTypes(error).some((type) => TOO_LARGE.includes(type));
export const isOutOfRange = (error: unknown): boolean => failureTypes(error).includes('OFFSET_OUT_OF_RANGE');

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
