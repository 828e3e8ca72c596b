import { useEffect, useState } from 'preact/hooks';
import { type Answer, getSite, type Refusal, type SiteDetail } from '../hub.ts';
import type { FeedState } from '../live/feed.ts';

/** Asked for when the live stream shows a newer report, and anyway this often, because the stream may leave the site out. */
const EVERY_MS = 10_000;
const NOT_MORE_OFTEN_MS = 1_000;

type DetailState = { detail: SiteDetail | null; refusal: Refusal | null };

/** The newest full picture of a site. While the hub is away, the last one stays. */
export function useDetail(id: string, state: FeedState): DetailState {
  const [shown, setShown] = useState<DetailState & { id: string }>({ id, detail: null, refusal: null });
  const [askedAtMs, setAskedAtMs] = useState(0);
  const live = state.phase === 'live';
  const newest = state.fleet?.sites.get(id)?.receivedAtMs ?? null;

  useEffect(() => {
    if (!live && askedAtMs > 0) return;
    let current = true;
    const ask = async () => {
      setAskedAtMs(Date.now());
      const answer: Answer<SiteDetail> = await getSite(id);
      if (!current) return;
      setShown((old) =>
        answer.ok
          ? { id, detail: answer.value, refusal: null }
          : { id, detail: answer.code === 'not-found' || old.id !== id ? null : old.detail, refusal: answer },
      );
    };
    const wait = Math.max(0, askedAtMs + NOT_MORE_OFTEN_MS - Date.now());
    const soon = setTimeout(ask, shown.id === id ? wait : 0);
    const again = setInterval(ask, EVERY_MS);
    return () => {
      current = false;
      clearTimeout(soon);
      clearInterval(again);
    };
  }, [id, live, newest]);
  return shown.id === id ? shown : { detail: null, refusal: null };
}
