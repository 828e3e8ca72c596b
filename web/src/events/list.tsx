import type { FleetEvent } from '../../../core/model/event.ts';
import { Moment } from '../moment.tsx';
import { follow, sitePath } from '../route.ts';
import { StateShape } from '../state-mark.tsx';

const SHAPES = { info: 'unknown', warning: 'orange', critical: 'red' } as const;

/** Events, newest first. Severity by colour, shape and word. */
export function EventList({ events, withSite }: { events: readonly FleetEvent[]; withSite: boolean }) {
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={`${event.atMs} ${event.id}`}>
          <span class="event-time figure muted">
            <Moment ms={event.atMs} />
          </span>
          <span class={`state ${SHAPES[event.severity]}`}>
            <StateShape state={SHAPES[event.severity]} />
            {event.severity}
          </span>
          <span class="event-words">
            <span class="event-kind">{event.kind}</span>{' '}
            {withSite && event.site !== '' && (
              <>
                <a href={sitePath(event.site)} onClick={follow}>
                  {event.site}
                </a>{' '}
              </>
            )}
            {event.message}
            {event.by !== '' && <span class="muted"> by {event.by}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}
