import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Diagnosis } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { type Column, renderTable } from './table.ts';

export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description('say whether everything is well, and where every report is')
    .action(async (_options: object, command: Command) => {
      const run = beginRun(command, context);
      const diagnosis = await diagnose(run, context.env.dataDir);
      run.print(diagnosis, () => diagnosisLines(diagnosis, run));
      if (!diagnosis.healthy) throw new Refusal(EXIT.violations);
    });
}

async function diagnose(run: CommandRun, dataDir: string): Promise<Diagnosis> {
  try {
    return await run.hub().get('/api/v1/doctor', Diagnosis);
  } catch (error) {
    if (!(error instanceof Refusal) || error.exitCode !== EXIT.unreachable) throw error;
    throw new Refusal(EXIT.unreachable, [error.message, ...localHints(dataDir)].join('\n'));
  }
}

/** What can be seen without a hub. */
function localHints(dataDir: string): string[] {
  if (!existsSync(dataDir))
    return [`  ${dataDir} is not there: no hub ever ran with it. \`plumbline up\` makes it.`];
  const hint = (file: string, there: string, away: string) =>
    `  ${join(dataDir, file)} ${existsSync(join(dataDir, file)) ? there : away}`;
  return [
    hint(
      'hub.url',
      'says where the hub was last',
      'is not there: no hub has started with this data directory',
    ),
    hint('admin.token', 'is there', 'is not there: another data directory (PLUMBLINE_DATA_DIR) may be meant'),
    hint('log.sqlite', 'is there: reports that were accepted are safe', 'is not there: no log was kept here'),
  ];
}

function diagnosisLines(diagnosis: Diagnosis, { paint, format }: CommandRun): string[] {
  const signs = { ok: '●', warning: '▲', failed: '■' };
  const colors = { ok: '32', warning: '33', failed: '31' };
  const checks: Column<Diagnosis['checks'][number]>[] = [
    {
      header: 'STATUS',
      text: (check) => `${signs[check.status]} ${check.status}`,
      paint: (check, padded) => paint(colors[check.status], padded),
    },
    { header: 'CHECK', text: (check) => check.name },
    {
      header: 'DETAIL',
      text: (check) => (check.remedy === undefined ? check.detail : `${check.detail} → ${check.remedy}`),
    },
  ];
  const count = (header: string, of: (row: Sums) => number): Column<Sums> => ({
    header,
    text: (row) => String(of(row)),
    alignRight: true,
  });
  const ledger: Column<Sums>[] = [
    { header: 'REPORTS OF', text: (row) => row.site },
    count('SENT', (row) => row.sent),
    count('= STORED', (row) => row.stored),
    count('+ QUARANTINED', (row) => row.quarantined),
    count('+ PENDING', (row) => row.pending),
    count('+ GAPS', (row) => row.gaps),
    ...(diagnosis.totals.lost > 0 ? [count('+ LOST BY RESTORE', (row) => row.lost)] : []),
    count('+ MISSING', (row) => row.missing),
    { header: 'WHICH', text: (row) => row.missingRanges.join(', ') },
  ];
  const total: Sums = { ...diagnosis.totals, site: 'all sites', missingRanges: [] };
  // Sites whose books are not simply "all stored" are named; with -o wide, all are.
  const isPlain = (row: Sums) => row.sent === row.stored;
  const sites = format === 'wide' ? diagnosis.sites : diagnosis.sites.filter((row) => !isPlain(row));
  return [
    ...renderTable(checks, diagnosis.checks, true),
    '',
    ...renderTable(ledger, [total, ...sites.slice(0, format === 'wide' ? undefined : 20)], true),
    '',
    verdict(diagnosis, paint),
  ];
}

function verdict({ healthy, checks }: Diagnosis, paint: CommandRun['paint']): string {
  if (!healthy) return paint('31', 'Something is wrong: see above.');
  const warnings = checks.filter(({ status }) => status === 'warning').map(({ name }) => name);
  if (warnings.length === 0) return paint('32', 'All is well.');
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
  return paint('33', `No failure, ${count}: ${warnings.join(', ')}.`);
}

type Sums = Diagnosis['sites'][number];
