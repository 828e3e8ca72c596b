import { minuteOf } from '../core/account.ts';
import type { FleetEvent } from '../core/model/event.ts';
import type { DroppedRange } from '../core/model/report.ts';
import type { RowOf } from '../core/model/rows.ts';
import { HEALTH_WORDS, healthState } from '../core/model/score.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Refused } from './step.ts';

/** From how far off a site's clock is worth telling. */
const CLOCK_OFF_MS = 5000;

export type Told = Omit<FleetEvent, 'virtualSite' | 'by'>;

/** What a site's new state tells beside what it said before: another colour, a clock that went off. Said once, at the change. */
export function changeEvents(previous: SiteState | null, state: SiteState): Told[] {
  return [...colourEvent(previous, state), ...clockEvent(previous, state)];
}

function colourEvent(previous: SiteState | null, state: SiteState): Told[] {
  if (previous === null) return [];
  const before = healthState(previous.shown);
  const after = healthState(state.shown);
  if (before === after) return [];
  const [heaviest] = state.penalties;
  const why =
    state.caps[0] ??
    (heaviest && [`${heaviest.id} ${heaviest.subject}`.trim(), heaviest.observed].join(': '));
  const severity = after === 'red' ? 'critical' : after === 'green' ? 'info' : 'warning';
  const message = `${HEALTH_WORDS[before]} to ${HEALTH_WORDS[after]}, score ${state.shown ?? 'unknown'}${why ? ` (${why})` : ''}`;
  return [
    told(`site.state/${state.site}/${state.boot}/${state.seq}`, 'site.state', severity, state, message),
  ];
}

function clockEvent(previous: SiteState | null, state: SiteState): Told[] {
  if (!isOff(state.clockOffsetMs) || (previous !== null && isOff(previous.clockOffsetMs))) return [];
  const offsetS = (state.clockOffsetMs ?? 0) / 1000;
  const message = `its clock is ${Math.abs(offsetS).toFixed(1)} s ${offsetS > 0 ? 'behind' : 'ahead of'} the hub's`;
  return [
    told(`site.clock/${state.site}/${state.boot}/${state.seq}`, 'site.clock', 'warning', state, message),
  ];
}

function isOff(offsetMs: number | null): boolean {
  return offsetMs !== null && Math.abs(offsetMs) > CLOCK_OFF_MS;
}

export function gapEvent(state: SiteState, { boot, from, to }: DroppedRange): Told {
  const message = `its spool dropped reports ${from} to ${to} of boot ${boot} (${to - from + 1})`;
  return told(`site.gap/${state.site}/${boot}/${from}-${to}`, 'site.gap', 'warning', state, message);
}

/** One a site, reason and minute, however many records are refused and however often they are read again. */
export function refusalEvent({ record, refusal }: Refused): Told {
  const { reason, detail } = refusal;
  const atMs = minuteOf(record.appendedAtMs);
  const site = record.key.slice(0, 63);
  const kind = reason === 'conflict' ? 'report.conflict' : 'report.quarantined';
  const severity = reason === 'conflict' ? 'critical' : 'warning';
  return {
    id: `${kind}/${site}/${reason}/${atMs}`,
    atMs,
    kind,
    severity,
    site,
    message: `${reason}: ${detail}`,
  };
}

export function told(
  id: string,
  kind: Told['kind'],
  severity: Told['severity'],
  state: SiteState,
  message: string,
): Told {
  return { id, atMs: state.receivedAtMs, kind, severity, site: state.site, message };
}

export function eventRow(event: Told): RowOf<'event'> {
  const { id, atMs, kind, severity, site, message } = event;
  return { id, at: atMs, kind, severity, site, virtual_site: '', by: '', message: message.slice(0, 500) };
}
