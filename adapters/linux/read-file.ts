import { readFile } from 'node:fs/promises';

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EINVAL', 'ENODEV', 'EOPNOTSUPP']);

/** A file's text, or null where this kernel or this user has no such file. Other failures are thrown. */
export async function readIfThere(path: string, signal?: AbortSignal): Promise<string | null> {
  try {
    return await readFile(path, { encoding: 'utf8', ...(signal && { signal }) });
  } catch (error) {
    if (error instanceof Error && 'code' in error && ABSENT.has(String(error.code))) return null;
    throw error;
  }
}
