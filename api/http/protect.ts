import type { FastifyReply, FastifyRequest } from 'fastify';
import { problem } from '../../core/problem.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import { accessOf } from './access.ts';
import type { App } from './app.ts';
import { sendProblem } from './problem-reply.ts';

/** What every answer says to browsers. Scripts and styles come from this origin only, and never inline. */
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
} as const;

/** Headers, sign-in, role and origin, in this order, before anything of a request's body is read. */
export function protect(app: App, signIn: SignIn): void {
  app.decorateRequest('principal', null);
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of Array.isArray(method) ? method : [method])
      if (accessOf(one, url) === null) throw new Error(`${one} ${url} is not in the table of access`);
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store');
    return admit(request, reply, signIn);
  });
}

function admit(request: FastifyRequest, reply: FastifyReply, signIn: SignIn): FastifyReply | undefined {
  const { url } = request.routeOptions;
  const access = url === undefined ? 'public' : (accessOf(request.method, url) ?? 'public');
  const isPublic = access === 'public' || (access === 'metrics' && isDirectLoopback(request));
  request.principal = signIn.principal(request.headers);
  const { principal } = request;
  if (isMutation(request) && !signIn.isOwnOrigin(request.headers, principal?.via === 'cookie'))
    return sendProblem(
      reply,
      problem(
        'bad-origin',
        'this change came from a page of another origin; use the hub’s own page, or a bearer token',
      ),
    );
  if (isPublic) return undefined;
  if (principal === null) {
    reply.header('www-authenticate', 'Bearer');
    return sendProblem(
      reply,
      problem(
        'unauthorized',
        'send `Authorization: Bearer TOKEN` (on the hub’s machine the token is in admin.token of its data directory), or sign in with a one-time link',
      ),
    );
  }
  const allowed = access === 'metrics' ? accessOf('GET', '/api/v1/hub') : access;
  if (Array.isArray(allowed) && !allowed.includes(principal.role))
    return sendProblem(
      reply,
      problem(
        'forbidden',
        `this needs the role ${allowed.join(' or ')}; ${principal.by} is ${principal.role}`,
      ),
    );
  return undefined;
}

function isMutation(request: FastifyRequest): boolean {
  return request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'OPTIONS';
}

/** From this machine and not through a proxy on it. */
function isDirectLoopback({ ip, headers }: FastifyRequest): boolean {
  const loopback = ip === '::1' || ip.startsWith('127.') || ip.startsWith('::ffff:127.');
  return loopback && headers['x-forwarded-for'] === undefined && headers.forwarded === undefined;
}
