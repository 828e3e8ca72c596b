import { useEffect, useState } from 'preact/hooks';

/** Where the page is: a path of its own, with the query as it stands in the URL. */
export type Route =
  | { page: 'fleet'; search: string }
  | { page: 'site'; id: string }
  | { page: 'events'; search: string }
  | { page: 'rollouts' }
  | { page: 'rollout'; name: string }
  | { page: 'sign-in' }
  | { page: 'nowhere'; path: string };

function routeOf(path: string, search: string): Route {
  const site = /^\/sites\/([a-z0-9-]+)$/.exec(path)?.[1];
  if (site !== undefined) return { page: 'site', id: site };
  if (path === '/' || path === '/sites') return { page: 'fleet', search };
  const rollout = /^\/rollouts\/allowlist\/([a-z0-9-]+)$/.exec(path)?.[1];
  if (rollout !== undefined) return { page: 'rollout', name: rollout };
  if (path === '/rollouts') return { page: 'rollouts' };
  if (path === '/events') return { page: 'events', search };
  if (path === '/signin') return { page: 'sign-in' };
  return { page: 'nowhere', path };
}

const MOVED = 'plumbline:moved';

/** Goes to a path of the page. `replace` leaves no step in the browser's history. */
export function go(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState({ inside: true }, '', to);
  else history.replaceState(history.state, '', to);
  dispatchEvent(new Event(MOVED));
}

/** Back to the list: the very step when it was come from there, so that filter and scroll position return. */
export function goBack(): void {
  const state: { inside?: boolean } | null = history.state;
  if (state?.inside === true) history.back();
  else go('/');
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.pathname, location.search));
  useEffect(() => {
    const update = () => setRoute(routeOf(location.pathname, location.search));
    addEventListener('popstate', update);
    addEventListener(MOVED, update);
    return () => {
      removeEventListener('popstate', update);
      removeEventListener(MOVED, update);
    };
  }, []);
  return route;
}

export function sitePath(id: string): string {
  return `/sites/${id}`;
}

export function rolloutPath(name: string): string {
  return `/rollouts/allowlist/${name}`;
}

/** For links: follows within the page, and leaves new tabs and downloads to the browser. */
export function follow(event: MouseEvent): void {
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (!(event.currentTarget instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  const { pathname, search } = event.currentTarget;
  go(pathname + search);
}
