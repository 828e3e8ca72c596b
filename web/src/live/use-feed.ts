import { useEffect, useState } from 'preact/hooks';
import { browserWorld } from './browser-world.ts';
import { Feed, type FeedState } from './feed.ts';

/** One for the page; `start` is the frame's to call. */
const feed = new Feed(browserWorld);

export function useFeed(): { feed: Feed; state: FeedState } {
  const [state, setState] = useState(feed.state);
  useEffect(() => {
    setState(feed.state);
    return feed.onChange(() => setState(feed.state));
  }, []);
  return { feed, state };
}

/** Wall time here, renewed each second while the page can be seen. */
export function useNowMs(): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNowMs(Date.now());
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}
