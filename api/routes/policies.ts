import Type from 'typebox';
import { checkDocument } from '../../core/document.ts';
import { API_VERSION } from '../../core/model/metadata.ts';
import { resourceKey, VirtualSiteDocument } from '../../core/model/resource.ts';
import { SiteId } from '../../core/model/site.ts';
import { Applied } from '../../core/model/view.ts';
import { type Problem, problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import { IfMatch, readIfMatch, sendRevision } from '../http/revision.ts';
import { answers, noVirtualSite } from './answers.ts';
import type { RouteParts } from './parts.ts';

const KINDS = ['VirtualSite'] as const;
const Path = Type.Object({
  kind: Type.String({ maxLength: 63, description: KINDS.join(', ') }),
  name: SiteId,
});

/** Documents as people write them: apply, read and delete. Kind VirtualSite so far. */
export function policyRoutes(app: App, parts: Pick<RouteParts, 'directory' | 'commands'>): void {
  readRoute(app, parts);
  applyRoute(app, parts);
  deleteRoute(app, parts);
}

function readRoute(app: App, { directory }: Pick<RouteParts, 'directory'>): void {
  app.route({
    method: 'GET',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'A document as it stands',
      params: Path,
      response: answers(VirtualSiteDocument),
    },
    handler: async ({ params: { kind, name } }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const known = directory().virtualSites.get(name);
      if (known === undefined) return sendProblem(reply, noVirtualSite(name));
      const { metadata, spec } = known.resource;
      sendRevision(reply, metadata.revision);
      return { apiVersion: API_VERSION, kind, metadata: { name }, spec } satisfies VirtualSiteDocument;
    },
  });
}

function applyRoute(app: App, { commands }: Pick<RouteParts, 'commands'>): void {
  app.route({
    method: 'PUT',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'Apply a document: create it or make it what is sent',
      description:
        'Applying the same document again changes nothing. Guard rails, and the selector of what has them, need the role admin.',
      params: Path,
      headers: IfMatch,
      // Checked below, with the errors that `plumbline validate` gives; here only for the documentation.
      body: Type.Unsafe<unknown>({ ...VirtualSiteDocument }),
      response: answers(Applied),
    },
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async ({ params: { kind, name }, headers, body, principal }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const meant = readIfMatch(headers);
      if (!meant.ok) return sendProblem(reply, meant.problem);
      const checked = checkDocument(body);
      if (!checked.ok) {
        const first = checked.faults[0];
        const code =
          first?.pointer.startsWith('/spec/selector') === true ? 'invalid-selector' : 'invalid-document';
        const detail = `${first?.pointer ?? ''}: ${first?.problem ?? 'it can’t be read'}; ${first?.remedy ?? ''}`;
        return sendProblem(reply, problem(code, detail, faultErrors(checked.faults)));
      }
      const { document } = checked;
      if (document.kind !== kind) return sendProblem(reply, noKind(document.kind));
      if (document.metadata.name !== name)
        return sendProblem(
          reply,
          problem(
            'invalid-document',
            `the document is named ${document.metadata.name}, the address says ${name}`,
            [
              {
                pointer: '/metadata/name',
                detail: `write ${name}, or send it to .../VirtualSite/${document.metadata.name}`,
              },
            ],
          ),
        );
      const wanted = { verb: 'apply', document } as const;
      const done = await commands().submit(principal, resourceKey(kind, name), wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      sendRevision(reply, done.revision);
      return { effect: done.effect, kind, name } satisfies Applied;
    },
  });
}

function deleteRoute(app: App, { commands }: Pick<RouteParts, 'commands'>): void {
  app.route({
    method: 'DELETE',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'Delete a document; one with guard rails needs the role admin',
      params: Path,
      headers: IfMatch,
      response: answers(Applied),
    },
    handler: async ({ params: { kind, name }, headers, principal }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const meant = readIfMatch(headers);
      if (!meant.ok) return sendProblem(reply, meant.problem);
      const wanted = { verb: 'delete', kind, name } as const;
      const done = await commands().submit(principal, resourceKey(kind, name), wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind, name } satisfies Applied;
    },
  });
}

function isKind(kind: string): kind is (typeof KINDS)[number] {
  return KINDS.some((known) => known === kind);
}

function noKind(kind: string): Problem {
  return problem('not-found', `there is no kind ${kind}; ${KINDS.join(', ')} is known`);
}
