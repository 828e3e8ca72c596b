import { createHash } from 'node:crypto';

/** JSON with the keys of every object in order of their code units and no white space (RFC 8785 for what documents hold). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** SHA-256 of the canonical form, base64url: two documents with the same content have the same digest. */
export function digestOf(content: unknown): string {
  return createHash('sha256').update(canonicalJson(content)).digest('base64url');
}
