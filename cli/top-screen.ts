import type { HealthState } from '../core/model/score.ts';
import type { SiteView } from '../core/model/view.ts';
import { plural } from '../core/plural.ts';
import { ago, percent, stretch, whole } from './figures.ts';
import type { LivePicture } from './live.ts';
import { colorOf, type Paint, signText } from './sign.ts';
import { kindText, labelsText, linksText } from './site-columns.ts';
import { type Column, cut, pad, plainText } from './table.ts';
import { type TopState, visibleSites } from './top-state.ts';

/** All that a frame shows. `trouble` is why the hub can't be heard now, and since when. */
export type TopModel = {
  picture: LivePicture | null;
  trouble: { text: string; sinceMs: number } | null;
  state: TopState;
  hubUrl: string;
  nowMs: number;
};
export type Size = { columns: number; rows: number };

/** Lines above the rows: title, counts, filter line, header. And one below: the keys. */
const CHROME_LINES = 5;
const DETAIL_LINES = 7;

/** How many sites fit; one at least, however small the screen. */
export function pageOf(size: Size, state: TopState): number {
  return Math.max(1, size.rows - CHROME_LINES - detailHeight(size, state));
}

function detailHeight({ rows }: Size, { detail }: TopState): number {
  return detail ? Math.max(0, Math.min(DETAIL_LINES, rows - CHROME_LINES - 1)) : 0;
}

/** One frame: at most `size.rows` lines of at most `size.columns` characters. */
export function renderTop(model: TopModel, size: Size, paint: Paint): string[] {
  const { picture, state } = model;
  const head = [
    titleLine(model, size.columns, paint),
    countsLine(model, size.columns, paint),
    filterLine(model, size, paint),
  ];
  if (state.help) return [...head, ...helpLines(size)].slice(0, size.rows);
  const sites = visibleSites(picture?.sites.values() ?? [], state);
  const page = pageOf(size, state);
  const cursor = Math.min(state.cursor, sites.length - 1);
  const first = Math.max(0, Math.min(cursor - Math.floor(page / 2), sites.length - page));
  const columns = columnsFor(size.columns, sites, model.nowMs, paint);
  const rows = sites
    .slice(first, first + page)
    .map((site, i) => rowLine(site, columns, first + i === cursor, paint));
  const filler = Array.from({ length: page - rows.length }, (_, i) =>
    i === 0 && rows.length === 0 ? cut(emptyText(model), size.columns) : '',
  );
  const chosen = sites[cursor];
  const detail = detailLines(chosen, size.columns, model.nowMs, paint).slice(0, detailHeight(size, state));
  const header = columns.map((column) => pad(column.header, column.width, column.alignRight)).join(' ');
  const lines = [...head, paint('1', cut(header.trimEnd(), size.columns)), ...rows, ...filler, ...detail];
  return [...lines, keysLine(model, sites.length, size.columns)].slice(0, size.rows);
}

function titleLine({ picture, trouble, hubUrl, nowMs }: TopModel, width: number, paint: Paint): string {
  if (trouble !== null) {
    const text = ` DISCONNECTED for ${stretch(nowMs - trouble.sinceMs)}; what is below is old. ${trouble.text}`;
    return paint('1;37;41', pad(cut(plainText(text), width), width));
  }
  if (picture === null) return cut(`plumbline ${hubUrl}: connecting …`, width);
  if (!picture.hub.caughtUp) return paint('33', cut(`plumbline ${hubUrl}: the hub is catching up`, width));
  const { blind } = picture.hub;
  if (blind !== null)
    return paint(
      '33',
      cut(
        `plumbline ${hubUrl}: the hub was blind for ${stretch(blind.toMs - blind.fromMs)}, ${ago(blind.toMs, nowMs)}`,
        width,
      ),
    );
  return paint('1', cut(`plumbline ${hubUrl}`, width));
}

function countsLine({ picture }: TopModel, width: number, paint: Paint): string {
  if (picture === null) return '';
  const { byState, members, score } = picture.rollup;
  const states: readonly HealthState[] = ['green', 'orange', 'red', 'unknown'];
  const rest = score === null ? '' : `  score lowest ${whole(score.min)}, median ${whole(score.p50)}`;
  const fitted = (sign: (state: HealthState) => string, tail: string) => {
    const counts = states.map((state) => ({ state, text: `${sign(state)} ${byState[state]}` }));
    const plain = `${plural(members, 'site')}  ${counts.map(({ text }) => text).join('  ')}${tail}`;
    const painted = counts.map(({ state, text }) => paint(colorOf(state), text)).join('  ');
    return [...plain].length > width ? null : `${plural(members, 'site')}  ${painted}${tail}`;
  };
  const words = (state: HealthState) => signText({ state });
  const shapes = (state: HealthState) => words(state).slice(0, 1);
  return (
    fitted(words, rest) ?? fitted(words, '') ?? fitted(shapes, '') ?? cut(`${plural(members, 'site')}`, width)
  );
}

function filterLine({ state }: TopModel, { columns }: Size, paint: Paint): string {
  if (state.typing) return paint('7', cut(`/${state.filter}▏`, columns));
  const parts = [
    `sorted by ${state.sort}${state.reversed ? ', reversed' : ''}`,
    ...(state.virtualSite === null ? [] : [`virtual site ${state.virtualSite}`]),
    ...(state.filter === '' ? [] : [`filter "${state.filter}"`]),
  ];
  return cut(parts.join('  '), columns);
}

type FittedColumn = Column<SiteView> & { width: number };

/** The columns that there is room for; the reason gets what is left. */
function columnsFor(width: number, sites: readonly SiteView[], nowMs: number, paint: Paint): FittedColumn[] {
  const longest = sites.reduce((length, site) => Math.max(length, nameText(site).length), 4);
  const right = { alignRight: true };
  const all: (FittedColumn & { from: number })[] = [
    {
      header: 'STATE',
      text: signText,
      paint: (site, cell) => paint(colorOf(site.state), cell),
      width: 10,
      from: 0,
    },
    { header: 'SITE', text: nameText, width: Math.min(longest, Math.max(12, width >> 2)), from: 0 },
    { header: 'SCORE', text: (site) => whole(site.score), width: 5, from: 0, ...right },
    { header: 'CPU', text: (site) => percent(site.cpu), width: 4, from: 60, ...right },
    { header: 'MEM', text: (site) => percent(site.memory), width: 4, from: 60, ...right },
    { header: 'DISK', text: (site) => percent(site.disk), width: 4, from: 100, ...right },
    { header: 'LINKS', text: linksText, width: 5, from: 70, ...right },
    { header: 'HEARD', text: (site) => ago(site.receivedAtMs, nowMs), width: 8, from: 80 },
  ];
  let used = 0;
  const shown = all.filter((column) => {
    const fits = width >= column.from && used + column.width <= width;
    if (fits) used += column.width + 1;
    return fits;
  });
  const left = width - used;
  return left < 8 ? shown : [...shown, { header: 'REASON', text: (site) => site.reason, width: left }];
}

/** A site that is not there is never shown as one that is. */
function nameText(site: SiteView): string {
  return site.simulated ? `${site.id} [sim]` : site.id;
}

function rowLine(site: SiteView, columns: readonly FittedColumn[], isChosen: boolean, paint: Paint): string {
  const cells = columns.map((column) => {
    const cell = pad(cut(plainText(column.text(site)), column.width), column.width, column.alignRight);
    return column.paint === undefined || isChosen ? cell : column.paint(site, cell);
  });
  const line = cells.join(' ');
  return isChosen ? paint('7', line) : line.trimEnd();
}

function detailLines(site: SiteView | undefined, width: number, nowMs: number, paint: Paint): string[] {
  const lines =
    site === undefined
      ? ['nothing is chosen']
      : [
          `${site.id}  ${signText(site)}  score ${whole(site.score)}  heard ${ago(site.receivedAtMs, nowMs)}`,
          `kind ${kindText(site)}, version ${site.version || '-'}, links ${linksText(site)}`,
          Object.entries(site.components)
            .map(([component, score]) => `${component} ${whole(score)}`)
            .join('  ') || 'nothing was observed that could be scored',
          site.reason || 'nothing costs it points',
          `virtual sites ${site.virtualSites.join(', ') || '-'}; labels ${labelsText(site.labels)}`,
          `plumbline explain site ${site.id}   says more`,
        ];
  const padded = Array.from({ length: DETAIL_LINES - 1 }, (_, i) => cut(plainText(lines[i] ?? ''), width));
  return [paint('2', '─'.repeat(width)), ...padded];
}

function helpLines({ columns }: Size): string[] {
  return [
    '',
    'up down j k    choose a site          enter  show it in full',
    'space          a page further         g G    first, last',
    's              sort by the next       r      reverse',
    '/              filter: part of a name or reason, or a selector as env=prod',
    'v              next virtual site      esc    take filters away',
    '? h            this help              q      quit',
    '',
    '● healthy: above 75   ▲ degraded: 40 to 75   ■ failing: below 40',
    '◇ silent: not heard for three intervals   ◇ unheard: the hub did not listen long enough to blame it',
  ].map((line) => cut(line, columns));
}

function keysLine({ state }: TopModel, count: number, width: number): string {
  const keys = state.typing
    ? 'enter keeps the filter, esc takes it away'
    : 'q quit  s sort  r reverse  / filter  v virtual site  enter detail  ? help';
  return cut(`${count} shown  ${keys}`, width);
}

function emptyText({ picture, state }: TopModel): string {
  if (picture === null) return '';
  if (state.filter !== '' || state.virtualSite !== null)
    return 'No site matches; esc takes the filters away.';
  return 'There are no sites yet. Add one with `plumbline site add NAME`.';
}
