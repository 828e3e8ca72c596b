import type { Problem } from '../core/problem.ts';

/** Exit codes that scripts rely on. */
export const EXIT = {
  done: 0,
  /** The hub or a check said no: a document with faults, a refusal, a diagnosis that is not healthy. */
  violations: 1,
  /** The command can't be carried out as it was given. */
  usage: 2,
  /** Nobody answers where the hub should be, or what answers can't do its work now. */
  unreachable: 3,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a code, and one line that names what is wrong and its remedy; an empty message is said already. */
export class Refusal extends Error {
  readonly exitCode: ExitCode;
  /** The hub's refusal, and what it says of fields of the document that it was sent. */
  readonly problem: Pick<Problem, 'errors'> & { code: string };
  constructor(exitCode: ExitCode, message = '', problem: Refusal['problem'] = { code: '' }) {
    super(message);
    this.name = 'Refusal';
    this.exitCode = exitCode;
    this.problem = problem;
  }
}
