import type { Command } from 'commander';
import type { LiveRequest, SiteView } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { followLive, type LivePicture } from './live.ts';
import { siteColumns } from './site-columns.ts';
import { isTerminal, sizeOf } from './terminal.ts';
import { pageOf, renderTop } from './top-screen.ts';
import { initialState, keysOf, press, SORTS, type Sort, visibleSites } from './top-state.ts';

type Filter = NonNullable<LiveRequest['filter']>;
type TopOptions = { selector?: string; virtualSite?: string; sort: string; once?: boolean };

const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
/** Times shown as "3s ago" move on without news. */
const REDRAW_MS = 1000;

export function addTopCommand(program: Command, context: CommandContext): void {
  program
    .command('top')
    .description('the fleet live, what needs a look first; a table once when this is no terminal')
    .option('-l, --selector <selector>', 'sites whose labels match')
    .option('--virtual-site <name>', 'sites that are members of it')
    .option('--sort <by>', SORTS.join(', '), 'state')
    .option('--once', 'print a table once and end')
    .action(async (options: TopOptions, command: Command) => {
      const sort = SORTS.find((one) => one === options.sort);
      if (sort === undefined)
        throw new Refusal(EXIT.usage, `--sort "${options.sort}" is not known. It takes ${SORTS.join(', ')}.`);
      const run = beginRun(command, context);
      const { selector, virtualSite } = options;
      const filter = { ...(selector && { selector }), ...(virtualSite && { virtualSite }) };
      const isLive = isTerminal(context.terminal.out) && isTerminal(context.terminal.input);
      const isText = run.format === 'table' || run.format === 'wide';
      if (options.once || !isLive || !isText) await printOnce(run, filter, sort);
      else await showLive(run, filter, sort);
    });
}

async function printOnce(run: CommandRun, filter: Filter, sort: Sort): Promise<void> {
  const got = new AbortController();
  const seen: LivePicture[] = [];
  const events = {
    onPicture(picture: LivePicture) {
      seen.push(picture);
      got.abort();
    },
    onTrouble: () => {},
  };
  await followLive(
    run.connection(),
    filter,
    events,
    AbortSignal.any([got.signal, run.terminal.untilStopped()]),
  );
  const [first] = seen;
  if (first !== undefined) printPicture(run, first, sort);
}

function printPicture(run: CommandRun, { hub, rollup, virtualSites, sites }: LivePicture, sort: Sort): void {
  const ordered: SiteView[] = visibleSites(sites.values(), initialState(sort));
  if (run.format === 'json' || run.format === 'yaml')
    run.print({ hub, rollup, virtualSites, sites: ordered }, () => []);
  else run.printTable(siteColumns(run.paint, hub.nowMs), ordered, 'No site matches.');
}

/** Owns the terminal from here until `q`, the signal, or a refusal; leaves it as it was in every case. */
async function showLive(run: CommandRun, filter: Filter, sort: Sort): Promise<void> {
  const { out, input, clock } = run.terminal;
  const connection = run.connection();
  const quit = new AbortController();
  let state = initialState(sort);
  let picture: LivePicture | null = null;
  let trouble: { text: string; sinceMs: number } | null = null;

  function draw(): void {
    const size = sizeOf(out);
    const model = { picture, trouble, state, hubUrl: connection.url.origin, nowMs: clock.nowMs() };
    const lines = renderTop(model, size, run.paint).map((line) => `${line}\u001b[K`);
    out.write(`\u001b[H${lines.join('\r\n')}\u001b[J`);
  }
  function onKeys(chunk: Buffer | string): void {
    for (const key of keysOf(String(chunk))) {
      const rows = visibleSites(picture?.sites.values() ?? [], state).length;
      const virtualSites = picture?.virtualSites.map(({ name }) => name) ?? [];
      const next = press(state, key, { page: pageOf(sizeOf(out), state), rows, virtualSites });
      if (next === null) quit.abort();
      else state = next;
    }
    draw();
  }
  const events = {
    onPicture(now: LivePicture) {
      picture = now;
      trouble = null;
      draw();
    },
    onTrouble(text: string) {
      trouble = { text, sinceMs: trouble?.sinceMs ?? clock.nowMs() };
      draw();
    },
  };
  const redraw = setInterval(draw, REDRAW_MS);
  input.setRawMode?.(true);
  input.on('data', onKeys);
  input.resume();
  out.on('resize', draw);
  out.write(ENTER_SCREEN);
  try {
    draw();
    await followLive(connection, filter, events, AbortSignal.any([quit.signal, run.terminal.untilStopped()]));
  } finally {
    clearInterval(redraw);
    out.off('resize', draw);
    input.off('data', onKeys);
    input.setRawMode?.(false);
    input.pause();
    out.write(LEAVE_SCREEN);
  }
}
