import { useEffect, useState } from 'preact/hooks';
import type { FleetEvent } from '../../../core/model/event.ts';
import { getEvents } from '../hub.ts';
import { follow, go, goBack } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { EventList } from './list.tsx';

const PAGE = 50;
const RENEW_MS = 10_000;

/** The first page renews itself as long as it is the only one; older ones are added on request. */
function useEvents(site: string | undefined) {
  const [events, setEvents] = useState<readonly FleetEvent[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [pages, setPages] = useState(1);
  const [trouble, setTrouble] = useState<string | null>(null);

  useEffect(() => {
    if (pages > 1) return;
    let current = true;
    const ask = async () => {
      const answer = await getEvents({ site, limit: PAGE });
      if (!current) return;
      if (answer.ok) {
        setEvents(answer.value.items);
        setNext(answer.value.next);
      }
      setTrouble(answer.ok ? null : answer.detail);
    };
    void ask();
    const timer = setInterval(ask, RENEW_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [site, pages]);

  async function older() {
    if (next === null) return;
    const answer = await getEvents({ site, limit: PAGE, cursor: next });
    if (answer.ok) {
      setPages(pages + 1);
      setEvents([...(events ?? []), ...answer.value.items]);
      setNext(answer.value.next);
    }
    setTrouble(answer.ok ? null : answer.detail);
  }
  return { events, trouble, older: next === null ? null : older };
}

/** What happened, newest first. */
export function EventsPage({ search }: { search: string }) {
  const site = new URLSearchParams(search).get('site') ?? undefined;
  const { events, trouble, older } = useEvents(site);
  useShortcuts({ back: goBack });
  return (
    <main id="content" tabIndex={-1} class="events-page">
      <h1>Events</h1>
      {site !== undefined && (
        <p>
          Of{' '}
          <a href={`/sites/${site}`} onClick={follow}>
            {site}
          </a>{' '}
          only.{' '}
          <button type="button" onClick={() => go('/events')}>
            Show all
          </button>
        </p>
      )}
      {trouble !== null && <p class="trouble-text">{trouble}</p>}
      {events !== null &&
        (events.length === 0 ? (
          <p class="empty" role="status">
            Nothing happened yet. Sites that join, fall silent or change their state are told here.
          </p>
        ) : (
          <EventList events={events} withSite={site === undefined} />
        ))}
      {older !== null && (
        <p>
          <button type="button" onClick={older}>
            Older events
          </button>
        </p>
      )}
    </main>
  );
}
