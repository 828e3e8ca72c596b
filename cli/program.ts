import { Command, CommanderError, Option } from 'commander';
import { type Clock, systemClock } from '../core/ports/clock.ts';
import { addApplyCommand } from './apply.ts';
import { type CommandContext, FORMATS } from './command-context.ts';
import type { CliEnvironment } from './connection.ts';
import { addDeleteCommand } from './delete.ts';
import { addDoctorCommand } from './doctor.ts';
import { EXIT, type ExitCode, Refusal } from './exit.ts';
import { addExplainCommand } from './explain.ts';
import { addGetCommand } from './get.ts';
import { addKeysCommands } from './keys.ts';
import { addPlanCommand } from './plan.ts';
import { addRestoreCommand } from './restore.ts';
import { addRolloutCommands } from './rollout.ts';
import { addSigninCommand } from './signin.ts';
import { addSiteCommands } from './site.ts';
import type { Input } from './terminal.ts';
import { addTokenCommands } from './token.ts';
import { addTopCommand } from './top.ts';
import { addValidateCommand } from './validate.ts';
import { addWatchCommand } from './watch.ts';

export type ProgramOptions = {
  version: string;
  env: CliEnvironment;
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream;
  /** Where `-f -` and the keys of `top` come from; standard input when left out. */
  input?: Input;
  clock?: Clock;
  /** Asked for by commands that last; aborts when the process should end. */
  untilStopped: () => AbortSignal;
};

/** The commands that talk to a hub. Whoever makes the process adds those that are roles, then calls `runProgram`. */
export function buildProgram(options: ProgramOptions): Command {
  const { version, env, out, err, input, clock, untilStopped } = options;
  const context: CommandContext = {
    env,
    terminal: {
      out,
      err,
      input: input ?? process.stdin,
      clock: clock ?? systemClock,
      untilStopped,
    },
  };
  const program = new Command('plumbline')
    .description("Carries a fleet's telemetry up and its policy down one pipeline.")
    .version(version, '-V, --version', 'print the version')
    .option('--url <url>', "the hub's address (PLUMBLINE_URL); on its machine it is found by itself")
    .option('--token <token>', 'a token (PLUMBLINE_TOKEN); on its machine admin.token is used')
    .option('--ca <file>', "the hub's CA certificate, PEM (PLUMBLINE_CA)")
    .addOption(new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table'))
    .option('--no-color', 'no colours (NO_COLOR)')
    .addHelpText('after', '\nExit codes: 0 done, 1 the hub or a check said no, 2 usage, 3 no hub answers.')
    .configureOutput({
      writeOut: (text) => void out.write(text),
      writeErr: (text) => void err.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, '')),
    })
    .showSuggestionAfterError()
    .exitOverride();
  addApplyCommand(program, context);
  addValidateCommand(program, context);
  addPlanCommand(program, context);
  addRolloutCommands(program, context);
  addGetCommand(program, context);
  addExplainCommand(program, context);
  addDeleteCommand(program, context);
  addSiteCommands(program, context);
  addTokenCommands(program, context);
  addSigninCommand(program, context);
  addKeysCommands(program, context);
  addRestoreCommand(program, context);
  addTopCommand(program, context);
  addWatchCommand(program, context);
  addDoctorCommand(program, context);
  return program;
}

/** Runs one command line (`argv` without node and script) to its exit code. What a person can mend is said on `err`; bugs throw. */
export async function runProgram(
  program: Command,
  argv: readonly string[],
  err: NodeJS.WritableStream,
): Promise<ExitCode> {
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof Refusal) {
      if (error.message !== '') err.write(`${error.message}\n`);
      return error.exitCode;
    }
    // Commander has printed its own message; only its help and version end well.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    throw error;
  }
}
