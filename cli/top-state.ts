import type { HealthState } from '../core/model/score.ts';
import type { SiteView } from '../core/model/view.ts';
import { matches, parseSelector } from '../core/selector.ts';

export const SORTS = ['state', 'score', 'cpu', 'memory', 'disk', 'name'] as const;
export type Sort = (typeof SORTS)[number];

/** What the person has chosen to see. */
export type TopState = {
  sort: Sort;
  reversed: boolean;
  /** Part of a name or a reason, or a selector. */
  filter: string;
  /** The filter is being typed. */
  typing: boolean;
  virtualSite: string | null;
  /** Index of the chosen row among those shown. */
  cursor: number;
  detail: boolean;
  help: boolean;
};

export function initialState(sort: Sort): TopState {
  return {
    sort,
    reversed: false,
    filter: '',
    typing: false,
    virtualSite: null,
    cursor: 0,
    detail: false,
    help: false,
  };
}

/** What keys are pressed in a chunk of terminal input, named; printable ones are themselves. */
export function keysOf(chunk: string): string[] {
  const names: Record<string, string> = {
    '\u001b[A': 'up',
    '\u001b[B': 'down',
    '\u001bOA': 'up',
    '\u001bOB': 'down',
    '\u001b[5~': 'page-up',
    '\u001b[6~': 'page-down',
    '\u001b[H': 'home',
    '\u001b[F': 'end',
    '\u001b': 'escape',
    '\r': 'enter',
    '\n': 'enter',
    '\u007f': 'backspace',
    '\b': 'backspace',
    '\u0003': 'quit',
    '\u0004': 'quit',
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what terminals send
  const found = chunk.match(/\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|[\s\S]/gu) ?? [];
  return found.flatMap((text) => {
    const name = names[text];
    if (name !== undefined) return [name];
    return /^[^\p{Cc}]$/u.test(text) ? [text] : [];
  });
}

/** What a key makes of the state; null means quit. `page` is how many rows are shown, `rows` how many there are. */
export function press(
  state: TopState,
  key: string,
  screen: { page: number; rows: number; virtualSites: readonly string[] },
): TopState | null {
  if (key === 'quit') return null;
  if (state.typing) return typed(state, key);
  const move = (by: number) => ({
    ...state,
    cursor: Math.max(0, Math.min(screen.rows - 1, state.cursor + by)),
  });
  switch (key) {
    case 'q':
      return null;
    case 's':
      return { ...state, sort: after(SORTS, state.sort), cursor: 0 };
    case 'r':
      return { ...state, reversed: !state.reversed, cursor: 0 };
    case '/':
      return { ...state, typing: true, help: false };
    case 'v':
      return { ...state, virtualSite: after([null, ...screen.virtualSites], state.virtualSite), cursor: 0 };
    case '?':
    case 'h':
      return { ...state, help: !state.help };
    case 'enter':
      return { ...state, detail: !state.detail };
    case 'escape':
      if (state.help || state.detail) return { ...state, help: false, detail: false };
      return { ...state, filter: '', virtualSite: null, cursor: 0 };
    case 'up':
    case 'k':
      return move(-1);
    case 'down':
    case 'j':
      return move(1);
    case 'page-up':
      return move(-screen.page);
    case 'page-down':
    case ' ':
      return move(screen.page);
    case 'home':
    case 'g':
      return move(-screen.rows);
    case 'end':
    case 'G':
      return move(screen.rows);
    default:
      return state;
  }
}

function typed(state: TopState, key: string): TopState {
  if (key === 'enter') return { ...state, typing: false };
  if (key === 'escape') return { ...state, typing: false, filter: '', cursor: 0 };
  if (key === 'backspace') return { ...state, filter: [...state.filter].slice(0, -1).join(''), cursor: 0 };
  const isText = [...key].length === 1 && state.filter.length < 200;
  return isText ? { ...state, filter: state.filter + key, cursor: 0 } : state;
}

function after<T>(all: readonly T[], one: T): T {
  return all[(all.indexOf(one) + 1) % all.length] ?? one;
}

const URGENCY: Record<HealthState, number> = { red: 0, unknown: 1, orange: 2, green: 3 };

/** The sites to show, in order: what needs a look comes first. */
export function visibleSites(sites: Iterable<SiteView>, state: TopState): SiteView[] {
  const accepts = filterOf(state.filter);
  const shown = [...sites].filter(
    (site) => (state.virtualSite === null || site.virtualSites.includes(state.virtualSite)) && accepts(site),
  );
  const byName = (a: SiteView, b: SiteView) => (a.id < b.id ? -1 : 1);
  const lowFirst = (of: (site: SiteView) => number | null) => (a: SiteView, b: SiteView) =>
    (of(a) ?? Number.POSITIVE_INFINITY) - (of(b) ?? Number.POSITIVE_INFINITY) || 0;
  const highFirst = (of: (site: SiteView) => number | null) => (a: SiteView, b: SiteView) =>
    (of(b) ?? -1) - (of(a) ?? -1);
  const byScore = lowFirst((site) => site.score);
  const orders: Record<Sort, (a: SiteView, b: SiteView) => number> = {
    state: (a, b) => URGENCY[a.state] - URGENCY[b.state] || byScore(a, b),
    score: byScore,
    cpu: highFirst((site) => site.cpu),
    memory: highFirst((site) => site.memory),
    disk: highFirst((site) => site.disk),
    name: byName,
  };
  const order = orders[state.sort];
  shown.sort((a, b) => order(a, b) || byName(a, b));
  return state.reversed ? shown.reverse() : shown;
}

/** A selector when it reads as one with an operator, else a part of name, reason or virtual site. */
function filterOf(text: string): (site: SiteView) => boolean {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return () => true;
  if (/[=!]|\sin\s|\snotin\s/.test(text)) {
    const parsed = parseSelector(text.trim());
    if (parsed.ok) return (site) => matches(parsed.selector, site.labels);
  }
  return (site) =>
    [site.id, site.reason, ...site.virtualSites].some((part) => part.toLowerCase().includes(wanted));
}
