import { useEffect, useState } from 'preact/hooks';
import type { FleetEvent } from '../../../core/model/event.ts';
import { EventList } from '../events/list.tsx';
import { getEvents } from '../hub.ts';
import { follow } from '../route.ts';
import { Panel } from './panel.tsx';

const NEWEST = 8;
const RENEW_MS = 15_000;

export function RecentEvents({ id }: { id: string }) {
  const [events, setEvents] = useState<readonly FleetEvent[] | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    const ask = async () => {
      const answer = await getEvents({ site: id, limit: NEWEST });
      if (!current) return;
      if (answer.ok) setEvents(answer.value.items.slice(0, NEWEST));
      setTrouble(answer.ok ? null : answer.detail);
    };
    void ask();
    const timer = setInterval(ask, RENEW_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [id]);
  return (
    <Panel
      title="Recent events"
      shape="tall"
      aside={
        <a href={`/events?site=${id}`} onClick={follow}>
          All events
        </a>
      }
    >
      {trouble !== null && <p class="trouble-text">{trouble}</p>}
      {events !== null &&
        (events.length === 0 ? <p class="muted">None.</p> : <EventList events={events} withSite={false} />)}
    </Panel>
  );
}
