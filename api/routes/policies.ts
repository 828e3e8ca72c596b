import { isDeepStrictEqual } from 'node:util';
import Type from 'typebox';
import { checkDocument } from '../../core/document.ts';
import {
  API_VERSION,
  resourceKey,
  type VirtualSite,
  VirtualSiteDocument,
} from '../../core/model/resource.ts';
import { SiteId } from '../../core/model/site.ts';
import { Applied } from '../../core/model/view.ts';
import { type Problem, problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import type { Principal } from '../sign-in/principal.ts';
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
      const { spec } = known.resource;
      return { apiVersion: API_VERSION, kind, metadata: { name }, spec } satisfies VirtualSiteDocument;
    },
  });
}

function applyRoute(app: App, { directory, commands }: Pick<RouteParts, 'directory' | 'commands'>): void {
  app.route({
    method: 'PUT',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'Apply a document: create it or make it what is sent',
      description: 'Applying the same document again changes nothing. Guard rails need the role admin.',
      params: Path,
      // Checked below, with the errors that `plumbline validate` gives; here only for the documentation.
      body: Type.Unsafe<unknown>({ ...VirtualSiteDocument }),
      response: answers(Applied),
    },
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async ({ params: { kind, name }, body, principal }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const checked = checkDocument(body);
      if (!checked.ok) {
        const first = checked.faults[0];
        const code =
          first?.pointer.startsWith('/spec/selector') === true ? 'invalid-selector' : 'invalid-document';
        const detail = `${first?.pointer ?? ''}: ${first?.problem ?? 'it can’t be read'}; ${first?.remedy ?? ''}`;
        return sendProblem(reply, problem(code, detail, faultErrors(checked.faults)));
      }
      const { document } = checked;
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
      const before = directory().virtualSites.get(name)?.resource;
      if (!mayGuard(principal, before, document)) return sendProblem(reply, guardProblem(name));
      const key = resourceKey(kind, name);
      const done = await commands().submit(principal?.by ?? '', key, { verb: 'apply', document });
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind, name } satisfies Applied;
    },
  });
}

function deleteRoute(app: App, { directory, commands }: Pick<RouteParts, 'directory' | 'commands'>): void {
  app.route({
    method: 'DELETE',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'Delete a document; one with guard rails needs the role admin',
      params: Path,
      response: answers(Applied),
    },
    handler: async ({ params: { kind, name }, principal }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const before = directory().virtualSites.get(name)?.resource;
      if (!mayGuard(principal, before, null)) return sendProblem(reply, guardProblem(name));
      const done = await commands().submit(principal?.by ?? '', resourceKey(kind, name), {
        verb: 'delete',
        kind,
        name,
      });
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind, name } satisfies Applied;
    },
  });
}

/** Guard rails are the administrator's: nobody else adds, changes or removes one, nor what carries one. */
function mayGuard(
  principal: Principal | null,
  before: VirtualSite | undefined,
  after: VirtualSiteDocument | null,
): boolean {
  return principal?.role === 'admin' || isDeepStrictEqual(before?.spec.guard, after?.spec.guard);
}

function guardProblem(name: string): Problem {
  return problem('forbidden', `the guard of ${name} is its administrator's; leave /spec/guard as it is`, [
    { pointer: '/spec/guard', detail: 'only the role admin may add, change or remove it' },
  ]);
}

function isKind(kind: string): kind is (typeof KINDS)[number] {
  return KINDS.some((known) => known === kind);
}

function noKind(kind: string): Problem {
  return problem('not-found', `there is no kind ${kind}; ${KINDS.join(', ')} is known`);
}
