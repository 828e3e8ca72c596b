import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { type Problem, problem } from '../../core/problem.ts';

/** Header of a change that is meant for what its caller has read, and for nothing newer. */
export const IfMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      description:
        'The `ETag` of the resource that the change is meant for, as `"3"`; `revision-conflict` when it has another one',
    }),
  ),
});

/** The revision that a change is meant for; undefined when its caller does not say. */
export function readIfMatch(headers: {
  'if-match'?: string | undefined;
}): { ok: true; revision: number | undefined } | { ok: false; problem: Problem } {
  const text = headers['if-match'];
  if (text === undefined) return { ok: true, revision: undefined };
  const digits = /^"([1-9][0-9]{0,14})"$/.exec(text)?.[1];
  if (digits !== undefined) return { ok: true, revision: Number(digits) };
  return {
    ok: false,
    problem: problem('bad-request', 'If-Match is not an ETag of this hub; send it as it came, as in "3"'),
  };
}

/** Says of which revision of its resource an answer is. */
export function sendRevision(reply: FastifyReply, revision: number | null): void {
  if (revision !== null) reply.header('etag', `"${revision}"`);
}
