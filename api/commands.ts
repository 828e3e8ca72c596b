import { randomUUID } from 'node:crypto';
import { Compile } from 'typebox/compile';
import type { Revision } from '../core/model/metadata.ts';
import { type Command, CommandResult, resourceKey } from '../core/model/resource.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, LogError } from '../core/ports/log.ts';
import type { TableView } from '../core/ports/table.ts';
import { PROBLEMS, type Problem, type ProblemCode, problem } from '../core/problem.ts';

/** How long a caller waits for control's answer. */
const ANSWER_WITHIN_MS = 10_000;
const MAX_WAITING = 1000;
const validator = Compile(CommandResult);

export type Effect = NonNullable<CommandResult['spec']['effect']>;
/** `stands` is what the resource is after the change; null when there is none any more. */
export type Submitted =
  | { ok: true; effect: Effect; stands: Revision | null; detail: string; warning?: string }
  | { ok: false; problem: Problem };
/** Who asks, and as what. */
export type Asker = { by: string; role: NonNullable<Command['role']> };

/** Asks control for changes: a record on log `commands`, and its answer in table `resources`. */
export class Commands {
  readonly #log: Log;
  readonly #view: TableView;
  readonly #clock: Clock;
  readonly #answerWithinMs: number;
  readonly #waiting = new Map<string, (result: CommandResult | null) => void>();
  readonly #stop: () => void;

  constructor(log: Log, view: TableView, clock: Clock, answerWithinMs = ANSWER_WITHIN_MS) {
    this.#log = log;
    this.#view = view;
    this.#clock = clock;
    this.#answerWithinMs = answerWithinMs;
    this.#stop = view.onChange((keys) => {
      for (const key of keys) {
        const done = this.#waiting.get(key);
        const result = done === undefined ? null : this.#result(key);
        if (result !== null) done?.(result);
      }
    });
  }

  /**
   * `key` is the resource it is about: commands of one resource keep their order. Nobody (null) may do nothing, as control
   * says. With a revision that it is meant for, control refuses the change unless the resource is at it.
   */
  async submit(
    asker: Asker | null,
    key: string,
    wanted: Command['do'],
    expected?: Revision,
  ): Promise<Submitted> {
    if (this.#waiting.size >= MAX_WAITING)
      return refused('too-many-requests', `${MAX_WAITING} changes wait already; try again in a moment`);
    const command: Command = {
      id: randomUUID(),
      by: asker?.by ?? '',
      ...(asker !== null && { role: asker.role }),
      ...(expected !== undefined && { expected }),
      atMs: this.#clock.nowMs(),
      do: wanted,
    };
    const answer = this.#await(resourceKey('CommandResult', command.id));
    let isRecorded = false;
    const recording = this.#record(key, command).then((refusal) => {
      isRecorded = refusal === null;
      return refusal;
    });
    // A log that is away may take long to say so; whoever asked is answered in time all the same.
    const refusal = await Promise.race([recording, answer.result.then(() => null)]);
    if (refusal !== null) {
      answer.give(null);
      return refusal;
    }
    const result = await answer.result;
    if (result === null && !isRecorded) return UNCONFIRMED;
    if (result === null)
      return refused(
        'control-away',
        'the change is recorded, but no control role answered in time; it takes effect when one runs. See that `plumbline control` (or `up`) is running, then look before you repeat the change',
      );
    const { ok, code = 'internal', detail = '', pointer, effect = 'unchanged', stands = null } = result.spec;
    const { warning, errors } = result.spec;
    if (ok) return { ok: true, effect, stands, detail, ...(warning !== undefined && { warning }) };
    return refused(isCode(code) ? code : 'internal', detail, pointer, errors);
  }

  /** Null once the log has it. */
  async #record(key: string, command: Command): Promise<Submitted | null> {
    try {
      await this.#log.append('commands', [{ key, value: Buffer.from(JSON.stringify(command)) }]);
      return null;
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      return error.code === 'too-large'
        ? refused('too-large', 'the change is larger than the log takes; make it smaller')
        : UNCONFIRMED;
    }
  }

  /** Whoever still waits is told that nobody answered. */
  close(): void {
    this.#stop();
    for (const done of this.#waiting.values()) done(null);
  }

  #await(key: string): { result: Promise<CommandResult | null>; give(result: CommandResult | null): void } {
    const { promise, resolve } = Promise.withResolvers<CommandResult | null>();
    const give = (result: CommandResult | null) => {
      clearTimeout(timer);
      this.#waiting.delete(key);
      resolve(result);
    };
    const timer = setTimeout(give, this.#answerWithinMs, null);
    this.#waiting.set(key, give);
    return { result: promise, give };
  }

  #result(key: string): CommandResult | null {
    const bytes = this.#view.get(key);
    const value: unknown = bytes === undefined ? null : JSON.parse(Buffer.from(bytes).toString('utf8'));
    return validator.Check(value) ? value : null;
  }
}

function refused(
  code: ProblemCode,
  detail: string,
  pointer?: string,
  errors = pointer === undefined ? undefined : [{ pointer, detail }],
): Submitted {
  return { ok: false, problem: problem(code, detail, errors) };
}

const UNCONFIRMED = refused(
  'log-unavailable',
  'the log did not confirm the change, which may be recorded all the same; look before you repeat it',
);

function isCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
