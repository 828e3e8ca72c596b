/** Every error code of the API, with its HTTP status. Codes are stable; texts are not. */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'The request is not valid' },
  'invalid-document': { status: 422, title: 'The document is not valid' },
  'invalid-selector': { status: 422, title: 'The selector is not valid' },
  unauthorized: { status: 401, title: 'Sign in first' },
  forbidden: { status: 403, title: 'Your role does not allow this' },
  'bad-origin': { status: 403, title: 'The request comes from a page of another origin' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'already-exists': { status: 409, title: 'It exists already' },
  'token-used': { status: 409, title: 'The join token was used already' },
  'token-expired': { status: 410, title: 'The join token has expired' },
  'guard-rail': { status: 422, title: 'A guard rail does not let it through' },
  'digest-failed': { status: 409, title: 'This content has failed before' },
  'rollout-busy': { status: 409, title: 'Another rollout is on its way there' },
  'rollout-phase': { status: 409, title: 'The rollout is not where this can be done' },
  'in-use': { status: 409, title: 'Something else depends on it' },
  'hub-behind': { status: 409, title: 'Sites are ahead of this hub' },
  'revision-conflict': { status: 412, title: 'It was changed in the meantime' },
  'too-large': { status: 413, title: 'The request is too large' },
  'unsupported-media-type': { status: 415, title: 'The request is not JSON' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'control-away': { status: 503, title: 'No control role answers' },
  'not-ready': { status: 503, title: 'The hub is still starting' },
  'log-unavailable': { status: 503, title: 'The log does not take records' },
  'store-unavailable': { status: 503, title: 'The store does not answer' },
  internal: { status: 500, title: 'Something went wrong in the hub' },
} as const;
export type ProblemCode = keyof typeof PROBLEMS;

/** RFC 9457 problem document. `errors` names fields by JSON pointer and says the remedy. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
  errors?: { pointer: string; detail: string }[];
};

export function problem(code: ProblemCode, detail: string, errors?: Problem['errors']): Problem {
  const { status, title } = PROBLEMS[code];
  return {
    type: `https://plumbline.io/problems/${code}`,
    title,
    status,
    code,
    detail,
    ...(errors && { errors }),
  };
}
