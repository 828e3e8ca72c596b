import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { RolloutDetail } from '../../core/model/policy-view.ts';
import { plural } from '../../core/plural.ts';
import { isOver, whyOf } from '../../core/rollout-words.ts';
import { beginRun, type CommandContext, type CommandRun } from '../command-context.ts';
import { EXIT, Refusal } from '../exit.ts';
import { cut, plainText } from '../table.ts';
import { isTerminal, sizeOf } from '../terminal.ts';
import { rolloutPath } from './name.ts';
import { statusLines } from './status-lines.ts';

const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const WATCH_EVERY_MS = 1000;

export function addRolloutStatusCommand(rollout: Command, context: CommandContext): void {
  rollout
    .command('status')
    .description('where a rollout stands: stages, sites, hits by rule, what is refused, and why')
    .argument('<kind/name>', 'as allowlist/payments')
    .option('--stage <number>', 'sites of this stage, from 1 on; of the present one when left out', readStage)
    .option('--watch', 'go on until it is over; exit 1 when it was not completed')
    .action(async (text: string, { stage, watch }: { stage?: number; watch?: boolean }, command: Command) => {
      const { path } = rolloutPath(text);
      const run = beginRun(command, context);
      const hub = run.hub();
      const query = stage === undefined ? {} : { stage: String(stage - 1) };
      const ask = () => hub.get(path, RolloutDetail, query);
      if (watch === true) await follow(run, ask);
      else print(run, await ask());
    });
}

function print(run: CommandRun, detail: RolloutDetail): void {
  const nowMs = run.terminal.clock.nowMs();
  run.print(detail, () => statusLines(detail, run.paint, nowMs, run.format === 'wide'));
}

/** On a terminal the whole screen; elsewhere one line a change (with -o json one object). */
async function follow(run: CommandRun, ask: () => Promise<RolloutDetail>): Promise<void> {
  const { out, untilStopped } = run.terminal;
  const stopped = untilStopped();
  const isText = run.format === 'table' || run.format === 'wide';
  const isScreen = isTerminal(out) && isText;
  let last = await ask();
  let told = '';
  if (isScreen) out.write(ENTER_SCREEN);
  try {
    for (;;) {
      if (isScreen) draw(run, last);
      else if (standingOf(last) !== told) run.say(isText ? summaryOf(last) : JSON.stringify(last));
      told = standingOf(last);
      if (isOver(last.rollout) || !(await waited(stopped))) break;
      last = await ask();
    }
  } finally {
    if (isScreen) out.write(LEAVE_SCREEN);
  }
  if (isScreen) print(run, last);
  if (isOver(last.rollout) && last.rollout.phase !== 'completed')
    throw new Refusal(EXIT.violations, isText ? '' : last.rollout.reason);
}

/** What is worth a line when it changes; hits alone are not. */
function standingOf({ rollout: { generation, phase, reason, stage, stages } }: RolloutDetail): string {
  const { phase: stagePhase, verdict, counts, unexpectedDenies } = stages[stage] ?? {};
  const { passed, failed } = counts ?? {};
  return JSON.stringify([
    generation,
    phase,
    reason,
    stage,
    stagePhase,
    verdict,
    passed,
    failed,
    unexpectedDenies,
  ]);
}

function summaryOf({ rollout }: RolloutDetail): string {
  const { name, generation, phase, stage, stages } = rollout;
  const at = stages[stage];
  const { counts, virtualSite = '', phase: stagePhase = '', verdict = '' } = at ?? {};
  const sites = counts === undefined ? '' : `, ${counts.passed} of ${plural(counts.sites, 'site')} passed`;
  const denies = plural(at?.unexpectedDenies ?? 0, 'unexpected deny', 'unexpected denies');
  const hits = at === undefined ? '' : `, ${plural(at.hits, 'hit')}, ${denies}`;
  const waits = `goes on with \`plumbline rollout promote allowlist/${name}\``;
  const why = phase === 'awaiting-promotion' ? waits : whyOf(rollout).join('; ');
  return plainText(
    `allowlist/${name} generation ${generation}: ${phase}, stage ${stage + 1} of ${stages.length} (${virtualSite}) ${stagePhase}, ${verdict}${sites}${hits}${why === '' ? '' : `: ${why}`}`,
  );
}

function draw(run: CommandRun, detail: RolloutDetail): void {
  const { out, clock } = run.terminal;
  const { columns, rows } = sizeOf(out);
  const lines = statusLines(detail, (_sgr, text) => text, clock.nowMs(), run.format === 'wide');
  const shown = lines.slice(0, rows - 1).map((line) => cut(line, columns) + CLEAR_LINE);
  out.write(HOME + shown.join('\r\n') + CLEAR_BELOW);
}

/** False when it was stopped meanwhile. */
async function waited(stopped: AbortSignal): Promise<boolean> {
  try {
    await sleep(WATCH_EVERY_MS, undefined, { signal: stopped });
    return true;
  } catch (error) {
    if (stopped.aborted) return false;
    throw error;
  }
}

function readStage(text: string): number {
  const stage = Number(text);
  if (!Number.isInteger(stage) || stage < 1 || stage > 16)
    throw new InvalidArgumentError('It takes a whole number from 1 to 16.');
  return stage;
}
