import Type from 'typebox';
import {
  checkDocument,
  DOCUMENT_KINDS,
  type DocumentKind,
  type PlumblineDocument,
} from '../../core/document.ts';
import { AllowlistDocument } from '../../core/model/allowlist.ts';
import { API_VERSION, type Metadata } from '../../core/model/metadata.ts';
import { PolicyPage, type PolicyView } from '../../core/model/policy-view.ts';
import { resourceKey, VirtualSiteDocument } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { SiteId } from '../../core/model/site.ts';
import { Applied } from '../../core/model/view.ts';
import { type Problem, problem } from '../../core/problem.ts';
import type { Directory } from '../directory.ts';
import type { App } from '../http/app.ts';
import { faultErrors, sendProblem } from '../http/problem-reply.ts';
import { IfMatch, readIfMatch, sendRevision } from '../http/revision.ts';
import { checkWithTypebox } from '../http/schema-check.ts';
import { answers, badCursor, noAllowlist, noVirtualSite } from './answers.ts';
import { PageQuery, pageOf } from './paging.ts';
import type { RouteParts } from './parts.ts';

const Path = Type.Object({
  kind: Type.String({ maxLength: 63, description: DOCUMENT_KINDS.join(', ') }),
  name: SiteId,
});
const AnyDocument = Type.Union([VirtualSiteDocument, AllowlistDocument]);

/** Documents as people write them: list, apply, read and delete. */
export function policyRoutes(app: App, parts: Pick<RouteParts, 'directory' | 'commands'>): void {
  listRoute(app, parts);
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
      response: answers(AnyDocument),
    },
    handler: async ({ params: { kind, name } }, reply) => {
      if (!isKind(kind)) return sendProblem(reply, noKind(kind));
      const stored = storedDocument(directory(), kind, name);
      if (stored === null)
        return sendProblem(reply, kind === 'VirtualSite' ? noVirtualSite(name) : noAllowlist(name));
      sendRevision(reply, stored.metadata);
      return stored.document;
    },
  });
}

function listRoute(app: App, { directory }: Pick<RouteParts, 'directory'>): void {
  app.route({
    method: 'GET',
    url: '/api/v1/policies',
    schema: {
      tags: ['policies'],
      summary: 'List policies, and how far each is rolled out',
      querystring: Type.Object(PageQuery, { additionalProperties: false }),
      response: answers(PolicyPage),
    },
    handler: async ({ query }, reply) => {
      const current = directory();
      const names = [...current.allowlists.keys()].sort();
      const page: PolicyPage | null = pageOf(names, query, (name) => policyView(current, name));
      return page ?? sendProblem(reply, badCursor());
    },
  });
}

function policyView({ allowlists, rollouts }: Directory, name: string): PolicyView | undefined {
  const known = allowlists.get(name);
  if (known === undefined) return undefined;
  const { metadata, spec } = known;
  const rollout = rollouts.get(rolloutName('Allowlist', name))?.spec;
  return {
    kind: 'Allowlist',
    name,
    generation: spec.generation,
    digest: spec.digest,
    rules: (spec.spec.egress?.length ?? 0) + (spec.spec.ingress?.length ?? 0),
    rollout: rollout?.phase ?? null,
    stage: rollout?.stages[rollout.stage]?.virtualSite ?? '',
    promoted: (rollout?.promoted ?? []).map(({ virtualSite, assigned }) => ({
      virtualSite,
      generation: assigned.generation,
      mode: assigned.mode,
    })),
    updatedAtMs: metadata.updatedAtMs,
    updatedBy: metadata.updatedBy,
  };
}

/** The document as its author would write it, and what the hub keeps of it besides. */
function storedDocument(
  { virtualSites, allowlists }: Directory,
  kind: DocumentKind,
  name: string,
): { document: PlumblineDocument; metadata: Metadata } | null {
  const common = { apiVersion: API_VERSION, metadata: { name } } as const;
  if (kind === 'VirtualSite') {
    const known = virtualSites.get(name)?.resource;
    if (known === undefined) return null;
    return { document: { ...common, kind, spec: known.spec }, metadata: known.metadata };
  }
  const known = allowlists.get(name);
  if (known === undefined) return null;
  const { spec, rollout } = known.spec;
  return { document: { ...common, kind, spec, rollout }, metadata: known.metadata };
}

function applyRoute(app: App, { commands }: Pick<RouteParts, 'commands'>): void {
  app.route({
    method: 'PUT',
    url: '/api/v1/policies/:kind/:name',
    schema: {
      tags: ['policies'],
      summary: 'Apply a document: create it or make it what is sent',
      description:
        'Applying the same document again changes nothing. An allowlist whose content is new begins its rollout; content that failed its verification does so with `retry` alone. Guard rails, and the selector of what has them, need the role admin.',
      params: Path,
      querystring: Type.Object(
        {
          retry: Type.Optional(
            Type.Boolean({
              description:
                'An allowlist whose content failed before begins its rollout anew; anything else is applied as without it',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      headers: IfMatch,
      // Checked below, with the errors that `plumbline validate` gives; here only for the documentation.
      body: Type.Unsafe<unknown>({ ...AnyDocument }),
      response: answers(Applied),
    },
    validatorCompiler: (part) =>
      part.httpPart === 'querystring' ? checkWithTypebox(part) : (value: unknown) => ({ value }),
    handler: async ({ params: { kind, name }, query: { retry }, headers, body, principal }, reply) => {
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
      if (document.kind !== kind)
        return sendProblem(
          reply,
          problem('invalid-document', `the document is of kind ${document.kind}, the address says ${kind}`, [
            { pointer: '/kind', detail: `send it to .../${document.kind}/${name}` },
          ]),
        );
      if (document.metadata.name !== name)
        return sendProblem(
          reply,
          problem(
            'invalid-document',
            `the document is named ${document.metadata.name}, the address says ${name}`,
            [
              {
                pointer: '/metadata/name',
                detail: `write ${name}, or send it to .../${kind}/${document.metadata.name}`,
              },
            ],
          ),
        );
      const wanted = { verb: 'apply', document, ...(retry === true && { retry }) } as const;
      const done = await commands().submit(principal, resourceKey(kind, name), wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      sendRevision(reply, done.stands);
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
      description: 'An allowlist that is deleted is withdrawn at every site.',
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

function isKind(kind: string): kind is DocumentKind {
  return DOCUMENT_KINDS.some((known) => known === kind);
}

function noKind(kind: string): Problem {
  return problem('not-found', `there is no kind ${kind}; ${DOCUMENT_KINDS.join(', ')} are known`);
}
