import Type from 'typebox';
import { DOCUMENT_KINDS } from '../../core/document.ts';
import { documentSchema } from '../../core/document-schemas.ts';
import { problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';

/** The JSON Schemas of documents, for editors. */
export function schemasRoute(app: App): void {
  const files = DOCUMENT_KINDS.map((kind) => `${kind}.json`).join(', ');
  app.route({
    method: 'GET',
    url: '/api/v1/schemas/:file',
    schema: {
      tags: ['policies'],
      summary: 'The JSON Schema of a kind of document, for editors',
      security: [],
      params: Type.Object({ file: Type.String({ maxLength: 63, description: files }) }),
      response: answers(Type.Object({}, { additionalProperties: true })),
    },
    handler: async ({ params: { file } }, reply) => {
      const kind = DOCUMENT_KINDS.find((known) => file === `${known}.json`);
      return kind === undefined
        ? sendProblem(reply, problem('not-found', `there is no schema ${file}; there are ${files}`))
        : documentSchema(kind);
    },
  });
}
