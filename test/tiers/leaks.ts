import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The variable that every process of one run inherits, so that those it left behind are told from others'. */
export const RUN_MARK = 'PLUMBLINE_TEST_RUN';

export type Leak = { what: string; pid?: number };

/**
 * What a run left behind: processes that carry its mark or belong to a session that it began, namespaces of tests whose
 * process is gone, nftables tables that were not there before. Processes on their way out get `patienceMs`.
 */
export async function findLeaks(
  run: { mark: string; sessions: readonly number[]; tablesBefore: readonly string[] },
  patienceMs: number,
): Promise<Leak[]> {
  const deadlineMs = Date.now() + patienceMs;
  let processes = strayProcesses(run.mark, run.sessions);
  while (processes.length > 0 && Date.now() < deadlineMs) {
    await sleep(200);
    processes = strayProcesses(run.mark, run.sessions);
  }
  const tables = ownTables().filter((table) => !run.tablesBefore.includes(table));
  return [
    ...processes,
    ...orphanedNamespaces().map((name) => ({ what: `network namespace ${name}` })),
    ...tables.map((table) => ({ what: `nftables ${table}` })),
  ];
}

/** Plumbline's nftables tables in the namespace of this process. */
export function ownTables(): string[] {
  const { stdout, status } = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n').filter((line) => /\bplumbline/.test(line)) : [];
}

function strayProcesses(mark: string, sessions: readonly number[]): Leak[] {
  if (!existsSync('/proc/self/stat')) return [];
  const strays: Leak[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const stat = readProc(pid, 'stat');
    // After the name in parentheses: state, parent, group, session.
    const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === undefined || state === 'Z' || state === 'X') continue;
    const isMarked = readProc(pid, 'environ').split('\0').includes(`${RUN_MARK}=${mark}`);
    if (isMarked || sessions.includes(Number(session)))
      strays.push({
        what: `process ${pid}: ${readProc(pid, 'cmdline').replaceAll('\0', ' ').slice(0, 160)}`,
        pid,
      });
  }
  return strays;
}

/** Empty when the process ended meanwhile or belongs to someone else. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Tests name theirs plb-<process id>-...; one whose process is alive may still be in use by another run. */
function orphanedNamespaces(): string[] {
  const { stdout, status } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  if (status !== 0) return [];
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => {
      const pid = /^plb-(\d+)-/.exec(name)?.[1];
      return name.startsWith('plb-') && (pid === undefined || !existsSync(`/proc/${pid}`));
    });
}
