import type { Clock } from '../core/ports/clock.ts';

/** What keys are read from; standard input is one. `setRawMode` is there when it is a terminal. */
export type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(raw: boolean): unknown };

/** Everything outside that commands touch, besides the hub. */
export type Terminal = {
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream;
  input: Input;
  clock: Clock;
  /** Aborts when the person or the machine asks the process to end; asked for only by commands that last. */
  untilStopped(): AbortSignal;
};

export function isTerminal(stream: object): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}

/** Columns and rows of a terminal; 80 by 24 when it does not say. */
export function sizeOf(stream: object): { columns: number; rows: number } {
  const columns = 'columns' in stream && typeof stream.columns === 'number' ? stream.columns : 80;
  const rows = 'rows' in stream && typeof stream.rows === 'number' ? stream.rows : 24;
  return { columns: Math.max(1, columns), rows: Math.max(1, rows) };
}
