import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Puts a whole new file in the place of the old, durably: whoever reads it, at whatever moment, reads one of them. */
export async function writeBootFile(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  await syncDirectory(path);
}

export async function removeBootFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(path);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
