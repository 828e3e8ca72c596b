import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { browserWorld } from './browser-world.ts';
import { Feed, type FeedState } from './feed.ts';

export const FeedContext = createContext(new Feed(browserWorld));

export function useFeed(): { feed: Feed; state: FeedState } {
  const feed = useContext(FeedContext);
  const [state, setState] = useState(feed.state);
  useEffect(() => {
    setState(feed.state);
    return feed.onChange(() => setState(feed.state));
  }, [feed]);
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
