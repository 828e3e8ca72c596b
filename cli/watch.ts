import type { Command } from 'commander';
import type { SiteView } from '../core/model/view.ts';
import { plural } from '../core/plural.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { moment, whole } from './figures.ts';
import { followLive, type LivePicture } from './live.ts';
import { colorOf, signText } from './sign.ts';
import { plainText } from './table.ts';

type WatchOptions = { selector?: string; virtualSite?: string };
type Change = {
  atMs: number;
  site: string;
  change: 'appeared' | 'state' | 'removed';
  before: SiteView | null;
  after: SiteView | null;
};

export function addWatchCommand(program: Command, context: CommandContext): void {
  program
    .command('watch')
    .description('print a line for every site that appears, changes its state or is removed')
    .option('-l, --selector <selector>', 'sites whose labels match')
    .option('--virtual-site <name>', 'sites that are members of it')
    .action(async ({ selector, virtualSite }: WatchOptions, command: Command) => {
      const run = beginRun(command, context);
      const connection = run.connection();
      const filter = { ...(selector && { selector }), ...(virtualSite && { virtualSite }) };
      // Kept over reconnections, so that what changed while nobody listened is told as well.
      let known: ReadonlyMap<string, SiteView> | null = null;
      const events = {
        onPicture({ sites, hub, rollup }: LivePicture) {
          if (known === null)
            run.note(
              `Watching ${plural(rollup.members, 'site')} at ${connection.url.origin}. Ctrl-C ends it.`,
            );
          else for (const change of changesOf(known, sites, hub.nowMs)) printChange(run, change);
          known = sites;
        },
        onTrouble: (text: string) => run.note(`Disconnected: ${text} Trying again.`),
      };
      await followLive(connection, filter, events, context.terminal.untilStopped());
    });
}

function changesOf(
  before: ReadonlyMap<string, SiteView>,
  after: ReadonlyMap<string, SiteView>,
  atMs: number,
): Change[] {
  const changes: Change[] = [];
  for (const [id, site] of after) {
    const old = before.get(id) ?? null;
    if (old === null) changes.push({ atMs, site: id, change: 'appeared', before: old, after: site });
    else if (signText(old) !== signText(site))
      changes.push({ atMs, site: id, change: 'state', before: old, after: site });
  }
  for (const [id, site] of before)
    if (!after.has(id)) changes.push({ atMs, site: id, change: 'removed', before: site, after: null });
  return changes;
}

/** One line a change: with -o json one JSON object. */
function printChange(run: CommandRun, change: Change): void {
  if (run.format === 'json' || run.format === 'yaml') {
    run.say(JSON.stringify(change));
    return;
  }
  const { before, after } = change;
  const sign = (site: SiteView) => run.paint(colorOf(site.state), signText(site));
  const states = [before, after].filter((site) => site !== null).map(sign);
  const end = after === null ? 'removed' : `score ${whole(after.score)}  ${plainText(after.reason)}`;
  run.say(`${moment(change.atMs)}  ${change.site}  ${states.join(' → ')}  ${end}`.trimEnd());
}
