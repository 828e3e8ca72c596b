import type { Command } from 'commander';
import { pino } from 'pino';
import { join } from '../adapters/gateway/join.ts';
import { createGatewayUplink } from '../adapters/gateway/uplink.ts';
import { findConnection } from '../cli/connection.ts';
import { Refusal } from '../cli/exit.ts';
import { buildProgram, runProgram } from '../cli/program.ts';
import { colourWanted, inherited, loadConfig } from '../config.ts';
import { systemClock } from '../core/ports/clock.ts';
import { addDemoCommand } from '../demo/command.ts';
import packageJson from '../package.json' with { type: 'json' };
import { addSimulateCommand } from '../simulator/command.ts';
import { simulatedAgents } from './simulated-agent.ts';

const { version } = packageJson;

/** Every command that talks to a hub, and those that `addRoles` adds. Resolves with the exit code. */
export async function runCli(argv: readonly string[], addRoles: (program: Command) => void): Promise<number> {
  const { config: found } = loadConfig({});
  const env = {
    ...(found.url !== '' && { url: found.url }),
    ...(found.adminToken !== '' && { token: found.adminToken }),
    ...(found.ca !== '' && { ca: found.ca }),
    dataDir: found.dataDir,
    color: colourWanted(),
  };
  const { stdout: out, stderr: err } = process;
  const program = buildProgram({ version, env, out, err, untilStopped });
  addRoles(program);
  addSimulateCommand(program, {
    findHub: (flags) => findConnection(flags, env),
    join,
    createGatewayUplink,
    createAgent: simulatedAgents(),
    clock: systemClock,
    logger: pino({ level: 'error' }, pino.destination(2)),
    version,
    out,
    err,
    untilStopped,
    fail: (exitCode, message) => {
      throw new Refusal(exitCode, message);
    },
  });
  addDemoCommand(program, {
    out,
    color: env.color,
    columns: out.columns ?? 80,
    env: inherited(),
    untilStopped,
    fail: () => {
      throw new Refusal(1);
    },
  });
  return runProgram(program, argv, err);
}

/** For a command that ends by itself: the first SIGINT or SIGTERM asks it to, the second one ends the process. */
function untilStopped(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
