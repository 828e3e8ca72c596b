import { type Command, InvalidArgumentError } from 'commander';
import { EVENT_KINDS, FleetEvent, SEVERITIES } from '../core/model/event.ts';
import { HEALTH_STATES, HEALTH_WORDS, type HealthState } from '../core/model/score.ts';
import { SiteDetail, SiteView, TokenView, VirtualSiteView } from '../core/model/view.ts';
import { nearest } from '../core/nearest.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { moment } from './figures.ts';
import { getAllowlists, getRollouts } from './get-policies.ts';
import { siteColumns, virtualSiteColumns } from './site-columns.ts';
import type { Column } from './table.ts';

type GetOptions = {
  selector?: string;
  virtualSite?: string;
  state?: string;
  kind?: string;
  severity?: string;
  limit: number;
};

const STATE_WORDS = Object.values(HEALTH_WORDS);

/** Every name a kind goes by. */
const KINDS: Record<
  string,
  (run: CommandRun, name: string | undefined, options: GetOptions) => Promise<void>
> = {
  sites: getSites,
  site: getSites,
  'virtual-sites': getVirtualSites,
  'virtual-site': getVirtualSites,
  virtualsites: getVirtualSites,
  virtualsite: getVirtualSites,
  vs: getVirtualSites,
  events: getEvents,
  event: getEvents,
  tokens: getTokens,
  token: getTokens,
  allowlists: getAllowlists,
  allowlist: getAllowlists,
  policies: getAllowlists,
  rollouts: getRollouts,
  rollout: getRollouts,
};
const KIND_NAMES = ['sites', 'virtual-sites', 'allowlists', 'rollouts', 'events', 'tokens'];

export function addGetCommand(program: Command, context: CommandContext): void {
  program
    .command('get')
    .description('list sites, virtual-sites, allowlists, rollouts, events or tokens, or show one by name')
    .argument('<kind>', KIND_NAMES.join(', '))
    .argument('[name]', 'one of them (of events: the site they are about)')
    .option('-l, --selector <selector>', 'sites whose labels match, as "env in (prod),!maintenance"')
    .option('--virtual-site <name>', 'sites that are members of it')
    .option('--state <state>', `sites in this state: ${STATE_WORDS.join(', ')}`)
    .option('--kind <kind>', 'events of this kind, as site.silent')
    .option('--severity <severity>', `events of this severity: ${SEVERITIES.join(', ')}`)
    .option('--limit <count>', 'events at most', readLimit, 50)
    .action(async (kind: string, name: string | undefined, options: GetOptions, command: Command) => {
      const get = Object.hasOwn(KINDS, kind.toLowerCase()) ? KINDS[kind.toLowerCase()] : undefined;
      if (get === undefined) {
        const meant = nearest(kind, KIND_NAMES);
        const remedy = meant === null ? `Kinds are ${KIND_NAMES.join(', ')}.` : `Did you mean ${meant}?`;
        throw new Refusal(EXIT.usage, `There is no kind "${kind}". ${remedy}`);
      }
      requireOneOf('--state', options.state, [...STATE_WORDS, ...HEALTH_STATES]);
      requireOneOf('--severity', options.severity, SEVERITIES);
      requireOneOf('--kind', options.kind, EVENT_KINDS);
      await get(beginRun(command, context), name, options);
    });
}

async function getSites(run: CommandRun, name: string | undefined, options: GetOptions): Promise<void> {
  const columns = siteColumns(run.paint, run.terminal.clock.nowMs());
  if (name !== undefined) {
    const { site } = await run.hub().get(`/api/v1/sites/${encodeURIComponent(name)}`, SiteDetail);
    if (run.format === 'json' || run.format === 'yaml') run.print(site, () => []);
    else run.printTable(columns, [site], '');
    return;
  }
  const { selector, virtualSite } = options;
  const state = stateOf(options.state);
  const hub = run.hub();
  const sites = await hub.list('/api/v1/sites', SiteView, { selector, virtualSite, state });
  // Nobody is in a virtual site that is not there; the hub's refusal tells it from an empty one.
  if (virtualSite !== undefined && sites.length === 0)
    await hub.get(`/api/v1/virtual-sites/${encodeURIComponent(virtualSite)}`, VirtualSiteView);
  const isFiltered = selector !== undefined || virtualSite !== undefined || state !== undefined;
  run.printTable(
    columns,
    sites,
    isFiltered ? 'No site matches.' : 'There are no sites yet. Add one with `plumbline site add NAME`.',
  );
}

async function getVirtualSites(run: CommandRun, name: string | undefined): Promise<void> {
  const columns = virtualSiteColumns(run.paint);
  if (name !== undefined) {
    const one = await run.hub().get(`/api/v1/virtual-sites/${encodeURIComponent(name)}`, VirtualSiteView);
    if (run.format === 'json' || run.format === 'yaml') run.print(one, () => []);
    else run.printTable(columns, [one], '');
    return;
  }
  const all = await run.hub().list('/api/v1/virtual-sites', VirtualSiteView);
  run.printTable(
    columns,
    all,
    'There are no virtual sites yet. Try `plumbline apply -f examples/stages.yaml`.',
  );
}

async function getEvents(run: CommandRun, site: string | undefined, options: GetOptions): Promise<void> {
  const { kind, severity, limit } = options;
  const hub = run.hub();
  const newestFirst = await hub.list('/api/v1/events', FleetEvent, { site, kind, severity }, limit);
  // A removed site keeps its events; of one that has none the hub says whether it knows it.
  if (site !== undefined && newestFirst.length === 0)
    await hub.get(`/api/v1/sites/${encodeURIComponent(site)}`, SiteDetail);
  const colors = { info: '0', warning: '33', critical: '31' };
  const columns: Column<FleetEvent>[] = [
    { header: 'TIME', text: (event) => moment(event.atMs) },
    {
      header: 'SEVERITY',
      text: (event) => event.severity,
      paint: (event, padded) => run.paint(colors[event.severity], padded),
    },
    { header: 'KIND', text: (event) => event.kind },
    { header: 'SITE', text: (event) => event.site || '-' },
    { header: 'VIRTUAL SITE', text: (event) => event.virtualSite || '-', wide: true },
    { header: 'BY', text: (event) => event.by || '-' },
    { header: 'MESSAGE', text: (event) => event.message },
  ];
  // The newest one last, next to the prompt.
  run.printTable(columns, newestFirst.toReversed(), 'No events.');
}

async function getTokens(run: CommandRun, name: string | undefined): Promise<void> {
  const all = await run.hub().list('/api/v1/tokens', TokenView);
  const tokens = name === undefined ? all : all.filter((token) => token.name === name);
  if (name !== undefined && tokens.length === 0)
    throw new Refusal(EXIT.violations, `There is no token "${name}". \`plumbline get tokens\` lists them.`);
  const columns: Column<TokenView>[] = [
    { header: 'TOKEN', text: (token) => token.name },
    { header: 'ROLE', text: (token) => token.role },
    { header: 'CREATED', text: (token) => moment(token.createdAtMs) },
  ];
  run.printTable(
    columns,
    tokens,
    'There are no tokens besides admin.token. Make one with `plumbline token create`.',
  );
}

/** The API's name of a state, by that name or by the word for people. */
function stateOf(text: string | undefined): HealthState | undefined {
  return HEALTH_STATES.find((state) => text === state || text === HEALTH_WORDS[state]);
}

function requireOneOf(flag: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  const meant = nearest(value, known);
  const remedy = meant === null ? `It takes ${known.join(', ')}.` : `Did you mean ${meant}?`;
  throw new Refusal(EXIT.usage, `${flag} "${value}" is not known. ${remedy}`);
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100_000)
    throw new InvalidArgumentError('It takes a whole number from 1 to 100000.');
  return limit;
}
