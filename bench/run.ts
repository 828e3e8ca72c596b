import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchOptions, BenchResult } from './result.ts';

/*
 * `npm run bench -- [name...] [--for 60s]`: every file of this folder but its parts is a benchmark, named after it. `--for` is how long those measure
 * that watch processes over time.
 */

const PARTS = ['run', 'result', 'workload', 'process-figures', 'gated-aggregator', 'flatten-sql'];

function markdown({ title, columns, rows, notes }: BenchResult): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const table = [line(columns), line(columns.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)];
  return [`## ${title}`, '', ...table, '', ...notes.map((note) => `- ${note}`), ''].join('\n');
}

async function benches(): Promise<string[]> {
  const files = await readdir(import.meta.dirname);
  const names = files.filter((file) => file.endsWith('.ts')).map((file) => basename(file, '.ts'));
  return names.filter((name) => !PARTS.includes(name)).sort();
}

const known = await benches();
const { values, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { for: { type: 'string' } },
});
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark called ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
const seconds = /^(\d+)s$/.exec(values.for ?? '60s')?.[1];
if (seconds === undefined) {
  console.error('--for takes seconds, as 60s');
  process.exit(2);
}
const options: BenchOptions = values.for === undefined ? {} : { forMs: Number(seconds) * 1000 };
for (const name of asked.length > 0 ? asked : known) {
  console.error(`running ${name} ...`);
  const bench: { run(options: BenchOptions): Promise<BenchResult> } = await import(`./${name}.ts`);
  console.log(markdown(await bench.run(options)));
}
process.exit(0);
