import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import type { Revision } from '../../core/model/metadata.ts';
import { type Problem, problem } from '../../core/problem.ts';

/** Header of a change that is meant for what its caller has read, and for nothing newer. */
export const IfMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      description:
        'The `ETag` of the resource that the change is meant for, as it came; `revision-conflict` when it is at another one, also when it was deleted and made again',
    }),
  ),
});

const ETAG = /^"([1-9][0-9]{0,14})-([0-9a-z-]{1,64})"$/;

/** The revision that a change is meant for; undefined when its caller does not say. */
export function readIfMatch(headers: {
  'if-match'?: string | undefined;
}): { ok: true; revision: Revision | undefined } | { ok: false; problem: Problem } {
  const text = headers['if-match'];
  if (text === undefined) return { ok: true, revision: undefined };
  const [, digits, uid] = ETAG.exec(text) ?? [];
  if (digits !== undefined && uid !== undefined)
    return { ok: true, revision: { uid, revision: Number(digits) } };
  return {
    ok: false,
    problem: problem(
      'bad-request',
      'If-Match is not an ETag of this hub; send it as it came, quotes and all',
    ),
  };
}

/** Says of which revision of its resource an answer is. */
export function sendRevision(reply: FastifyReply, stands: Revision | null): void {
  if (stands !== null) reply.header('etag', `"${stands.revision}-${stands.uid}"`);
}
