import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { SessionView, SignInLink } from '../../core/model/view.ts';
import { problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import type { Principal } from '../sign-in/principal.ts';
import type { Session } from '../sign-in/session-cookie.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

const Proof = Type.Union([
  Type.Object({ code: Type.String({ minLength: 1, maxLength: 256 }) }, { additionalProperties: false }),
  Type.Object({ token: Type.String({ minLength: 1, maxLength: 512 }) }, { additionalProperties: false }),
]);

type Parts = Pick<RouteParts, 'signIn' | 'attempts' | 'clock' | 'secure' | 'publicUrl'>;

/** Signing a browser in with the code of a one-time link or with a token, and out. */
export function sessionRoutes(app: App, parts: Parts): void {
  linkRoute(app, parts);
  const { signIn, attempts, clock, secure } = parts;
  app.route({
    method: 'POST',
    url: '/api/v1/session',
    schema: {
      tags: ['session'],
      summary: 'Sign in',
      security: [],
      body: Proof,
      response: answers(SessionView),
    },
    handler: async (request, reply) => {
      const nowMs = clock.nowMs();
      const waitS = attempts.waitS(request.ip, nowMs);
      if (waitS > 0) return refuseForNow(reply, waitS);
      const { body } = request;
      const opened = 'code' in body ? signIn.withCode(body.code) : signIn.withToken(body.token);
      if (opened === null) {
        attempts.failed(request.ip, nowMs);
        const pointer = 'code' in body ? '/code' : '/token';
        const detail =
          'code' in body
            ? 'the sign-in link was used already or is older than 10 minutes; `plumbline signin` prints another, or sign in with a token'
            : 'the hub knows no such token; on its machine the administrator’s is in admin.token of the data directory';
        return sendProblem(reply, problem('unauthorized', detail, [{ pointer, detail }]));
      }
      const maxAge = Math.floor((opened.session.expiresAtMs - nowMs) / 1000);
      reply.setCookie(signIn.cookieName, opened.value, { ...cookieOptions(secure), maxAge });
      return shown(opened.session);
    },
  });
  app.route({
    method: 'GET',
    url: '/api/v1/session',
    schema: { tags: ['session'], summary: 'Who is asking', response: answers(SessionView) },
    handler: async (request) => shown(principalOf(request)),
  });
  app.route({
    method: 'DELETE',
    url: '/api/v1/session',
    schema: { tags: ['session'], summary: 'Sign out', response: answers(Type.Null()) },
    handler: async (request, reply) => {
      signIn.signOut(request.headers);
      reply.clearCookie(signIn.cookieName, cookieOptions(secure));
      return reply.type('application/json').send('null');
    },
  });
}

function linkRoute(app: App, { signIn, secure, publicUrl }: Parts): void {
  app.route({
    method: 'POST',
    url: '/api/v1/session/link',
    schema: {
      tags: ['session'],
      summary: 'Make a link that signs a browser in once, as the holder of the token that asks for it',
      response: answers(SignInLink, 201),
    },
    handler: async ({ headers }, reply) => {
      const issued = signIn.codeFor(headers);
      if (issued === null)
        return sendProblem(
          reply,
          problem('forbidden', 'a sign-in link is made with a token, and not with a session'),
        );
      const origin = publicUrl ?? `${secure ? 'https' : 'http'}://${headers.host}`;
      const { code, expiresAtMs } = issued;
      return reply.code(201).send({ url: `${origin}/signin#${code}`, expiresAtMs } satisfies SignInLink);
    },
  });
}

export function refuseForNow(reply: FastifyReply, waitS: number): FastifyReply {
  reply.header('retry-after', String(waitS));
  return sendProblem(
    reply,
    problem('too-many-requests', `too many failed attempts; try again in ${waitS} s`),
  );
}

function cookieOptions(secure: boolean) {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure } as const;
}

function shown({ by, role, expiresAtMs }: Session | Principal): SessionView {
  return { by, role, expiresAtMs };
}

function principalOf({ principal }: FastifyRequest): Principal {
  if (principal === null) throw new Error('a route that needs a sign-in was reached without one');
  return principal;
}
