import Type, { type TSchema } from 'typebox';
import { PROBLEMS, type Problem, type ProblemCode, problem } from '../../core/problem.ts';

const codes = Object.keys(PROBLEMS).filter((code): code is ProblemCode => Object.hasOwn(PROBLEMS, code));

/** RFC 9457, as every error of this API comes. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Enum(codes),
    detail: Type.String({ description: 'What is wrong, and what to do about it' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON pointer to the field' }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem' },
);

/** Every other answer of a route, in the form that names its media type; the schema itself stands once, as `Problem`. */
const OTHERWISE = {
  description: 'A problem: `code` says which, `detail` what to do',
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
};

/** The documented answers of a route: its own, and a problem otherwise. */
export function answers<T extends TSchema>(
  answer: T,
  status: 200 | 201 = 200,
): { [status: string]: TSchema | typeof OTHERWISE } {
  return { [status]: answer, default: OTHERWISE };
}

export function noSite(id: string): Problem {
  return problem('not-found', `there is no site ${id}; \`plumbline get sites\` lists them`);
}

export function noVirtualSite(name: string): Problem {
  return problem('not-found', `there is no virtual site ${name}; \`plumbline get virtual-sites\` lists them`);
}

export function noAllowlist(name: string): Problem {
  return problem('not-found', `there is no allowlist ${name}; \`plumbline get allowlists\` lists them`);
}

export function badCursor(): Problem {
  return problem('bad-request', 'the cursor is not one that this list gave; begin again without one', [
    { pointer: '/cursor', detail: 'pass `next` of the page before as it came' },
  ]);
}
