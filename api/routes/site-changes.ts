import { randomBytes } from 'node:crypto';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { encodeJoinToken } from '../../core/join-token.ts';
import { escapePointer } from '../../core/json-pointer.ts';
import { resourceKey } from '../../core/model/resource.ts';
import { Labels, SiteId, SiteKind } from '../../core/model/site.ts';
import { Applied, SiteInvitation } from '../../core/model/view.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { schemaFaults } from '../../core/schema-faults.ts';
import { reservedLabel } from '../../core/site-labels.ts';
import { invitationNote } from '../entrance.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import { IfMatch, readIfMatch, sendRevision } from '../http/revision.ts';
import { tokenHash } from '../sign-in/sign-in.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

/** How long an invitation is good. */
const INVITATION_LASTS_MS = 24 * 3_600_000;

const Addition = Type.Object(
  { name: SiteId, labels: Type.Optional(Labels), kind: Type.Optional(SiteKind) },
  { additionalProperties: false },
);
/** RFC 7396: what is named is set, null takes it away, the rest stays. */
const Changes = Type.Object(
  {
    labels: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
      description: 'set what is named; null takes a label away',
    }),
  },
  { additionalProperties: false },
);
const labelsValidator = Compile(Labels);
const Path = Type.Object({ id: SiteId });

type Parts = Pick<RouteParts, 'commands' | 'clock' | 'entrance'>;

/** Registering, inviting, labelling and removing sites. */
export function siteChangeRoutes(app: App, parts: Parts): void {
  addRoute(app, parts);
  inviteRoute(app, parts);
  labelRoute(app, parts);
  removeRoute(app, parts);
}

function addRoute(app: App, parts: Parts): void {
  app.route({
    method: 'POST',
    url: '/api/v1/sites',
    schema: {
      tags: ['sites'],
      summary: 'Register a site and invite its collector',
      body: Addition,
      response: answers(SiteInvitation, 201),
    },
    handler: async ({ body, principal }, reply) => {
      const { name, labels = {}, kind } = body;
      const reserved = reservedLabel(labels);
      if (reserved !== null) return sendProblem(reply, reservedProblem(reserved));
      const invitation = invite(name, parts);
      const { joinSecretHash, joinExpiresAtMs } = invitation;
      const done = await parts.commands().submit(principal, resourceKey('Site', name), {
        verb: 'site.add',
        site: name,
        labels,
        ...(kind && { kind }),
        joinSecretHash,
        joinExpiresAtMs,
        renew: false,
      });
      if (!done.ok) return sendProblem(reply, done.problem);
      sendRevision(reply, done.stands);
      return reply.code(201).send(invitation.shown);
    },
  });
}

function inviteRoute(app: App, parts: Parts): void {
  app.route({
    method: 'POST',
    url: '/api/v1/sites/:id/token',
    schema: {
      tags: ['sites'],
      summary: 'Invite a site anew; its old key and invitation are worthless from then on',
      params: Path,
      response: answers(SiteInvitation),
    },
    handler: async ({ params, principal }, reply) => {
      const invitation = invite(params.id, parts);
      const { joinSecretHash, joinExpiresAtMs } = invitation;
      const done = await parts.commands().submit(principal, resourceKey('Site', params.id), {
        verb: 'site.add',
        site: params.id,
        labels: {},
        joinSecretHash,
        joinExpiresAtMs,
        renew: true,
      });
      return done.ok ? invitation.shown : sendProblem(reply, done.problem);
    },
  });
}

function labelRoute(app: App, parts: Parts): void {
  app.route({
    method: 'PATCH',
    url: '/api/v1/sites/:id',
    schema: {
      tags: ['sites'],
      summary: 'Change the given labels of a site',
      params: Path,
      headers: IfMatch,
      body: Changes,
      response: answers(Applied),
    },
    handler: async ({ params, headers, body: { labels }, principal }, reply) => {
      const meant = readIfMatch(headers);
      if (!meant.ok) return sendProblem(reply, meant.problem);
      const set: Labels = {};
      for (const [key, value] of Object.entries(labels)) if (value !== null) set[key] = value;
      const reserved = reservedLabel(set);
      if (reserved !== null) return sendProblem(reply, reservedProblem(reserved));
      const faults = labelFaults(set);
      if (faults.length > 0)
        return sendProblem(reply, problem('bad-request', 'the labels don’t have the form they need', faults));
      const key = resourceKey('Site', params.id);
      const wanted = { verb: 'site.label', site: params.id, labels } as const;
      const done = await parts.commands().submit(principal, key, wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      sendRevision(reply, done.stands);
      return { effect: done.effect, kind: 'Site', name: params.id } satisfies Applied;
    },
  });
}

function removeRoute(app: App, parts: Parts): void {
  app.route({
    method: 'DELETE',
    url: '/api/v1/sites/:id',
    schema: {
      tags: ['sites'],
      summary: 'Remove a site; what it reported stays until its time is over',
      params: Path,
      headers: IfMatch,
      response: answers(Applied),
    },
    handler: async ({ params, headers, principal }, reply) => {
      const meant = readIfMatch(headers);
      if (!meant.ok) return sendProblem(reply, meant.problem);
      const key = resourceKey('Site', params.id);
      const wanted = { verb: 'delete', kind: 'Site', name: params.id } as const;
      const done = await parts.commands().submit(principal, key, wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind: 'Site', name: params.id } satisfies Applied;
    },
  });
}

/** A fresh secret: what control keeps of it, and what is shown once. */
function invite(site: string, { clock, entrance }: Parts) {
  const secret = randomBytes(24).toString('base64url');
  const expiresAtMs = clock.nowMs() + INVITATION_LASTS_MS;
  const { url, pin } = entrance();
  const token = encodeJoinToken({ v: 1, url, pin, site, secret });
  const note = invitationNote(url);
  const shown: SiteInvitation = {
    site,
    token,
    command: `PLUMBLINE_JOIN=${token} ./plumbline collector`,
    expiresAtMs,
    ...(note !== undefined && { note }),
  };
  return { joinSecretHash: tokenHash(secret), joinExpiresAtMs: expiresAtMs, shown };
}

function labelFaults(labels: Labels): NonNullable<Problem['errors']> {
  if (labelsValidator.Check(labels)) return [];
  const faults = faultErrors(schemaFaults(Labels, labels));
  if (faults.length === 0)
    return [{ pointer: '/labels', detail: 'a site has at most 64 labels; take some away' }];
  return faults.map(({ pointer, detail }) => ({ pointer: `/labels${pointer}`, detail }));
}

function reservedProblem(label: string): Problem {
  const detail = `"${label}" has a prefix that only what sites say of themselves has; use another name`;
  return problem('bad-request', detail, [{ pointer: `/labels/${escapePointer(label)}`, detail }]);
}
