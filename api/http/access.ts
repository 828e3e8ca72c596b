import type { Role } from '../../core/model/role.ts';

const EVERYBODY = ['viewer', 'author', 'approver', 'admin'] as const;
const AUTHORS = ['author', 'admin'] as const;
const MOVERS = ['author', 'approver', 'admin'] as const;
const ADMINS = ['admin'] as const;

/** `public` needs no sign-in; `metrics` is public on loopback (see metrics route) and a viewer's elsewhere. */
export type Access = readonly Role[] | 'public' | 'metrics';

/**
 * Who may use which route: the one table of it. A route that is not here can't be registered.
 *
 * Changing sites, tokens and keys is for administrators, virtual sites and policies are an author's, rollouts are moved by
 * authors and approvers. This turns callers away before anything
 * is written down; what a change may do is decided by control, which knows every change before it
 * (policy/commands/permitted.ts), guard rails among them.
 */
export const ACCESS = {
  'GET /api/v1/sites': EVERYBODY,
  'GET /api/v1/sites/:id': EVERYBODY,
  'GET /api/v1/sites/:id/score': EVERYBODY,
  'GET /api/v1/sites/:id/links': EVERYBODY,
  'GET /api/v1/sites/:id/history': EVERYBODY,
  'POST /api/v1/sites': ADMINS,
  'POST /api/v1/sites/:id/token': ADMINS,
  'PATCH /api/v1/sites/:id': ADMINS,
  'DELETE /api/v1/sites/:id': ADMINS,
  'GET /api/v1/virtual-sites': EVERYBODY,
  'GET /api/v1/virtual-sites/:name': EVERYBODY,
  'GET /api/v1/virtual-sites/:name/distribution': EVERYBODY,
  'GET /api/v1/virtual-sites/:name/history': EVERYBODY,
  'GET /api/v1/policies': EVERYBODY,
  'GET /api/v1/policies/:kind/:name': EVERYBODY,
  'GET /api/v1/policies/:kind/:name/hits': EVERYBODY,
  'POST /api/v1/policies/:kind/:name/plan': EVERYBODY,
  'PUT /api/v1/policies/:kind/:name': AUTHORS,
  'DELETE /api/v1/policies/:kind/:name': AUTHORS,
  'GET /api/v1/rollouts': EVERYBODY,
  'GET /api/v1/rollouts/:kind/:name': EVERYBODY,
  'GET /api/v1/rollouts/:kind/:name/evidence': EVERYBODY,
  'POST /api/v1/rollouts/:kind/:name/:action': MOVERS,
  'GET /api/v1/schemas/:file': 'public',
  'POST /api/v1/keys/rotate': ADMINS,
  'POST /api/v1/hub/restore': ADMINS,
  'GET /api/v1/events': EVERYBODY,
  'GET /api/v1/doctor': EVERYBODY,
  'GET /api/v1/hub': EVERYBODY,
  'GET /api/v1/tokens': ADMINS,
  'POST /api/v1/tokens': ADMINS,
  'DELETE /api/v1/tokens/:name': ADMINS,
  'GET /api/v1/session': EVERYBODY,
  'POST /api/v1/session': 'public',
  'DELETE /api/v1/session': EVERYBODY,
  'POST /api/v1/session/link': EVERYBODY,
  'POST /api/v1/join': 'public',
  'POST /api/v1/sites/:id/echo': 'public',
  'GET /api/v1/openapi.json': 'public',
  'GET /metrics': 'metrics',
  'GET /healthz': 'public',
  'GET /readyz': 'public',
  'GET /*': 'public',
} as const satisfies Record<string, Access>;

export function accessOf(method: string, url: string): Access | null {
  const key = `${method === 'HEAD' ? 'GET' : method} ${url}`;
  return isRoute(key) ? ACCESS[key] : null;
}

/** Who may open the live WebSocket. */
export const LIVE_ACCESS: readonly Role[] = EVERYBODY;

function isRoute(key: string): key is keyof typeof ACCESS {
  return Object.hasOwn(ACCESS, key);
}
