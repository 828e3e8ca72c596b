import type { DatabaseSync } from 'node:sqlite';
import { parentPort } from 'node:worker_threads';
import { ensureSpans, openDatabase, positionsOf } from './database.ts';
import { Edits } from './edits.ts';
import type { Calls, Request } from './protocol.ts';
import { Reads } from './reads.ts';
import { retain } from './retention.ts';

/*
 * The thread that has the file: waiting for a disk happens here and never on the thread that serves.
 */

type Open = { database: DatabaseSync; edits: Edits; reads: Reads };
type Answer = Calls[keyof Calls]['answer'];

const port = parentPort;
if (port === null) throw new Error('this file runs as a worker thread');

let current: Open | null = null;

port.on('message', (request: Request) => {
  try {
    const answer = perform(request);
    port.postMessage({ id: request.id, answer }, transferred(answer));
  } catch (error) {
    port.postMessage({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
});

function perform(request: Request): Answer {
  if (request.call === 'open') return open(request.ask);
  if (request.call === 'close') {
    current?.database.close();
    current = null;
    return null;
  }
  if (current === null) throw new Error('the log file is not open');
  const { database, edits, reads } = current;
  switch (request.call) {
    case 'apply':
      return edits.apply(request.ask.edits, request.ask.atMs);
    case 'read':
      return reads.records(request.ask.from, request.ask.maxRecords, request.ask.maxBytes);
    case 'positions':
      return positionsOf(database, request.ask.group);
    case 'load':
      return reads.table(request.ask.table);
    case 'retain':
      return retain(database, request.ask);
  }
}

function open({ path, partitions }: Calls['open']['ask']): Calls['open']['answer'] {
  const opened = openDatabase(path);
  if (!opened.ok) return { locked: opened.reason };
  const { database } = opened;
  const spans = ensureSpans(database, partitions);
  current = { database, edits: new Edits(database), reads: new Reads(database) };
  return { spans };
}

function transferred(answer: Answer): ArrayBuffer[] {
  if (answer === null || Array.isArray(answer)) return [];
  if ('packed' in answer) return [answer.packed.bytes.buffer];
  if ('bytes' in answer) return [answer.bytes.buffer];
  return [];
}
