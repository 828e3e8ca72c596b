import { useEffect, useRef, useState } from 'preact/hooks';
import { Announcer } from './announcer.tsx';
import { EventsPage } from './events/page.tsx';
import { FleetPage } from './fleet/page.tsx';
import { age } from './format.ts';
import { signOut } from './hub.ts';
import type { Feed, FeedState } from './live/feed.ts';
import { useFeed, useNowMs } from './live/use-feed.ts';
import { Logo } from './logo.tsx';
import { Notices } from './notices.tsx';
import { RolloutsPage } from './rollouts/page.tsx';
import { RolloutPage } from './rollouts/rollout.tsx';
import { follow, go, type Route, useRoute } from './route.ts';
import { HelpDialog, useShortcuts } from './shortcuts.tsx';
import { SignIn, takeCode } from './sign-in.tsx';
import { SitePage } from './site/page.tsx';
import { ThemeButton } from './theme.tsx';

/** The page: signed in or not, and which part of it. */
export function Frame() {
  const { feed, state } = useFeed();
  const route = useRoute();
  const [code] = useState(takeCode);
  const [entering, setEntering] = useState(route.page === 'sign-in');
  useEffect(() => {
    document.documentElement.dataset.phase = state.phase;
  }, [state.phase]);
  useEffect(() => {
    if (!entering) void feed.startIfSignedIn();
    const retry = () => {
      if (!document.hidden) feed.retryNow();
    };
    addEventListener('online', retry);
    document.addEventListener('visibilitychange', retry);
    return () => {
      removeEventListener('online', retry);
      document.removeEventListener('visibilitychange', retry);
    };
  }, [feed, entering]);
  if (entering || state.phase === 'signed-out')
    return (
      <SignIn
        code={code}
        onSignedIn={() => {
          if (route.page === 'sign-in') go('/', 'replace');
          setEntering(false);
          feed.start();
        }}
      />
    );
  return <SignedIn feed={feed} state={state} route={route} />;
}

function SignedIn({ feed, state, route }: { feed: Feed; state: FeedState; route: Route }) {
  const [help, setHelp] = useState(false);
  const [focusFilter, setFocusFilter] = useState(false);
  useShortcuts({
    help: () => setHelp(true),
    ...(route.page !== 'fleet' && {
      filter: () => {
        go('/');
        setFocusFilter(true);
      },
    }),
  });
  useTitleAndFocus(route);
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="masthead">
        <a class="brand" href="/" onClick={follow}>
          <Logo /> Plumbline
        </a>
        <nav aria-label="Pages">
          <a href="/" onClick={follow} aria-current={route.page === 'fleet' ? 'page' : undefined}>
            Sites
          </a>
          <a
            href="/rollouts"
            onClick={follow}
            aria-current={route.page === 'rollouts' || route.page === 'rollout' ? 'page' : undefined}
          >
            Rollouts
          </a>
          <a href="/events" onClick={follow} aria-current={route.page === 'events' ? 'page' : undefined}>
            Events
          </a>
        </nav>
        <HubStatus state={state} />
        <ThemeButton />
        <button type="button" class="quiet" aria-label="Keyboard help" onClick={() => setHelp(true)}>
          <kbd>?</kbd>
        </button>
        <button
          type="button"
          class="quiet sign-out"
          onClick={async () => {
            await signOut();
            feed.stop();
            location.assign('/');
          }}
        >
          Sign out
        </button>
      </header>
      <Notices feed={feed} state={state} />
      <Page
        feed={feed}
        state={state}
        route={route}
        focusFilter={focusFilter}
        onFilterFocused={() => setFocusFilter(false)}
      />
      <Announcer state={state} />
      <HelpDialog open={help} onClose={() => setHelp(false)} />
    </>
  );
}

function Page({
  feed,
  state,
  route,
  focusFilter,
  onFilterFocused,
}: {
  feed: Feed;
  state: FeedState;
  route: Route;
  focusFilter: boolean;
  onFilterFocused: () => void;
}) {
  switch (route.page) {
    case 'fleet':
    case 'sign-in':
      return (
        <FleetPage
          feed={feed}
          state={state}
          search={route.page === 'fleet' ? route.search : ''}
          focusFilter={focusFilter}
          onFilterFocused={onFilterFocused}
        />
      );
    case 'site':
      return <SitePage key={route.id} id={route.id} state={state} />;
    case 'rollouts':
      return <RolloutsPage state={state} />;
    case 'rollout':
      return <RolloutPage key={route.name} name={route.name} state={state} />;
    case 'events':
      return <EventsPage key={route.search} search={route.search} />;
    case 'nowhere':
      return (
        <main id="content" tabIndex={-1}>
          <h1>There is no such page</h1>
          <p>
            <a href="/" onClick={follow}>
              All sites
            </a>
          </p>
        </main>
      );
  }
}

/** One line that says whether what is seen is the present. */
function HubStatus({ state }: { state: FeedState }) {
  const nowMs = useNowMs();
  const { phase, fleet, heardAtMs } = state;
  const words = {
    connecting: 'Connecting',
    live: 'Live',
    away: 'Disconnected',
    'signed-out': 'Signed out',
  }[phase];
  return (
    <p class={`hub-status ${phase}`}>
      <span class="pulse" aria-hidden="true" />
      <strong>{words}</strong>
      {fleet !== null && (
        <span class="muted">
          {heardAtMs !== null && nowMs - heardAtMs >= 2000 && (
            <span class="figure">, heard {age(nowMs - heardAtMs)} ago</span>
          )}
          <span class="wide-only">, hub {fleet.hub.version}</span>
        </span>
      )}
    </p>
  );
}

const TITLES = {
  fleet: 'Sites',
  'sign-in': 'Sites',
  events: 'Events',
  rollouts: 'Rollouts',
  nowhere: 'Not found',
};

/** A new page begins at its heading, for eyes and for those who listen. */
function useTitleAndFocus(route: Route): void {
  const shown = useRef<string | null>(null);
  const name = route.page === 'site' ? route.id : route.page === 'rollout' ? route.name : route.page;
  useEffect(() => {
    document.title = `${route.page === 'site' || route.page === 'rollout' ? name : TITLES[route.page]} · Plumbline`;
    const first = shown.current === null;
    shown.current = name;
    // The list puts the focus back where it was left.
    if (first || route.page === 'fleet') return;
    scrollTo({ top: 0 });
    document.getElementById('content')?.focus({ preventScroll: true });
  }, [name]);
}
