import { open, readFile, rename, rm } from 'node:fs/promises';
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

/** Keeps a text beside the file. */
export function writeHeld(path: string, text: string): Promise<void> {
  return writeBootFile(heldBeside(path), text);
}

export function readHeld(path: string): Promise<string | null> {
  return textOf(heldBeside(path));
}

export async function dropHeld(path: string): Promise<void> {
  await rm(heldBeside(path), { force: true });
  await syncDirectory(path);
}

export async function removeBootFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(heldBeside(path), { force: true });
  await syncDirectory(path);
}

function heldBeside(path: string): string {
  return `${path}.held`;
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
