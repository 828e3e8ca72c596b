import type { Command } from 'commander';
import { stringify } from 'yaml';
import { type CliEnvironment, type Connection, findConnection } from './connection.ts';
import { createHub, type Hub } from './hub-client.ts';
import { type Paint, paintWith } from './sign.ts';
import { type Column, renderTable } from './table.ts';
import { isTerminal, type Terminal } from './terminal.ts';

export const FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

/** What the commands get from the program; each run of one takes its own `CommandRun` from it. */
export type CommandContext = { env: CliEnvironment; terminal: Terminal };

/** One run of a command: the global options as given, the hub they lead to, and where to print. */
export type CommandRun = {
  readonly format: Format;
  readonly color: boolean;
  readonly paint: Paint;
  readonly terminal: Terminal;
  /** Throws a Refusal when no hub or token is known. */
  connection(): Connection;
  hub(): Hub;
  /** A line on standard output. */
  say(line: string): void;
  /** A line on standard error: progress, hints. */
  note(line: string): void;
  /** The value as JSON or YAML, or the lines. */
  print(value: unknown, lines: () => readonly string[]): void;
  printTable<T>(columns: readonly Column<T>[], rows: readonly T[], empty: string): void;
};

export function beginRun(command: Command, { env, terminal }: CommandContext): CommandRun {
  const flags = globalFlags(command);
  const color = env.color && flags.color && isTerminal(terminal.out);
  const connection = () => findConnection(flags, env);
  const say = (line: string) => void terminal.out.write(`${line}\n`);
  const note = (line: string) => void terminal.err.write(`${line}\n`);
  const { format } = flags;
  function print(value: unknown, lines: () => readonly string[]): void {
    if (format === 'json') say(JSON.stringify(value, null, 2));
    else if (format === 'yaml') terminal.out.write(stringify(value));
    else for (const line of lines()) say(line);
  }
  return {
    format,
    color,
    paint: paintWith(color),
    terminal,
    connection,
    hub: () => createHub(connection()),
    say,
    note,
    print,
    printTable(columns, rows, empty) {
      if (rows.length === 0 && (format === 'table' || format === 'wide')) note(empty);
      else print(rows, () => renderTable(columns, rows, format === 'wide'));
    },
  };
}

type GlobalFlags = {
  url: string | undefined;
  token: string | undefined;
  ca: string | undefined;
  format: Format;
  color: boolean;
};

function globalFlags(command: Command): GlobalFlags {
  const given: Record<string, unknown> = command.optsWithGlobals();
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : undefined);
  return {
    url: text('url'),
    token: text('token'),
    ca: text('ca'),
    format: FORMATS.find((format) => format === given.output) ?? 'table',
    color: given.color !== false,
  };
}
