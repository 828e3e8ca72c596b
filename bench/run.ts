import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import type { BenchResult } from './result.ts';

/* `npm run bench -- [name...]`: every file of this folder that exports `run` is a benchmark, named after it. */

const NOT_BENCHES = ['run', 'result', 'workload'];

function markdown({ title, columns, rows, notes }: BenchResult): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const table = [line(columns), line(columns.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)];
  return [`## ${title}`, '', ...table, '', ...notes.map((note) => `- ${note}`), ''].join('\n');
}

async function benches(): Promise<string[]> {
  const files = await readdir(import.meta.dirname);
  const names = files.filter((file) => file.endsWith('.ts')).map((file) => basename(file, '.ts'));
  return names.filter((name) => !NOT_BENCHES.includes(name)).sort();
}

const known = await benches();
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark called ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : known) {
  console.error(`running ${name} ...`);
  const bench: { run(): Promise<BenchResult> } = await import(`./${name}.ts`);
  console.log(markdown(await bench.run()));
}
process.exit(0);
