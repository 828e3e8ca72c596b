import { type Command, Option } from 'commander';
import { pino } from 'pino';
import { join as joinHub } from './adapters/gateway/join.ts';
import { createGatewayUplink } from './adapters/gateway/uplink.ts';
import { findConnection } from './cli/connection.ts';
import { Refusal } from './cli/exit.ts';
import { buildProgram, runProgram } from './cli/program.ts';
import { colourWanted, describeSettings, type LoadedConfig, loadConfig, type SettingName } from './config.ts';
import { systemClock } from './core/ports/clock.ts';
import { greeting } from './main/greeting.ts';
import { openHome } from './main/home.ts';
import { composeHub } from './main/hub.ts';
import { inviteLocalSite } from './main/invitation.ts';
import { fail, onStopSignal } from './main/process.ts';
import { startSite } from './main/site.ts';
import packageJson from './package.json' with { type: 'json' };
import { addSimulateCommand } from './simulator/command.ts';

const version = packageJson.version;

/** The settings that a role takes as flags; the others it takes too, from file and environment. */
const HUB_FLAGS: SettingName[] = [
  'listen',
  'publicUrl',
  'dataDir',
  'kafkaBrokers',
  'kafkaPrefix',
  'kafkaReplication',
  'partitions',
  'clickhouseUrl',
  'logRetention',
  'logMaxSize',
  'tlsCert',
  'tlsKey',
  'tlsCa',
  'logLevel',
];
const SITE_FLAGS: SettingName[] = [
  'dataDir',
  'interval',
  'labels',
  'spoolMaxSize',
  'spoolMaxAge',
  'linkTimeout',
  'logLevel',
];

async function up({ config }: LoadedConfig): Promise<void> {
  const logger = pino({ level: config.logLevel }, pino.destination(2));
  const home = openHome(config.dataDir);
  const stop = onStopSignal(logger);
  const hub = await composeHub(config, home, version, logger, () =>
    stop.now('another hub has taken over this data'),
  );
  stop.undo(() => hub.stop());
  const { url, signInUrl, ca } = await hub.start();
  home.announce(url, ca);
  stop.undo(async () => home.unannounce());
  const log = config.kafkaBrokers.length > 0 ? `Kafka at ${config.kafkaBrokers.join(', ')}` : 'SQLite';
  process.stdout.write(
    greeting({
      url,
      signInUrl,
      dataDir: config.dataDir,
      site: config.localSite ? config.site : null,
      log,
      readyInS: process.uptime(),
    }),
  );
  if (!config.localSite) return;
  const invite = () => inviteLocalSite({ url, ca, token: home.adminToken }, config.site);
  const site = await startSite(config, version, logger, invite, stop.signal);
  stop.undo(() => site.stop());
}

async function collector({ config }: LoadedConfig): Promise<void> {
  const logger = pino({ level: config.logLevel }, pino.destination(2));
  const stop = onStopSignal(logger);
  const site = await startSite(config, version, logger, async () => null, stop.signal);
  stop.undo(() => site.stop());
  process.stdout.write(
    `Collecting for site ${site.site} every ${config.interval / 1000} s; data in ${config.dataDir}. Ctrl-C stops it.\n`,
  );
}

/** Where each setting's value comes from, secrets left out. */
async function config({ sources }: LoadedConfig): Promise<void> {
  const rows = sources.map(({ key, value, source, flag, variable, about }) => [
    key,
    value === '' ? '-' : value,
    source,
    flag,
    variable,
    about,
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    process.stdout.write(`${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`);
}

/** For a command that ends by itself: the first SIGINT or SIGTERM asks it to, the second one ends the process. */
function untilStopped(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

function addRole(
  program: Command,
  name: string,
  about: string,
  flags: readonly SettingName[],
  run: (loaded: LoadedConfig) => Promise<void>,
): void {
  const command = program
    .command(name)
    .description(about)
    .option('--config <file>', 'a plumbline.yaml to read');
  const settings = describeSettings().filter(({ key }) => flags.includes(key));
  for (const { flag, about: text, form, default: standard } of settings)
    command.addOption(
      new Option(
        `--${flag} <value>`,
        `${text} ${form}${standard === '' ? '' : `; ${standard} if not given`}`,
      ),
    );
  command.action(async (options: Record<string, string | undefined>) => {
    const given = settings.flatMap(({ key }) => (options[key] === undefined ? [] : [[key, options[key]]]));
    await run(loadConfig(Object.fromEntries(given), options.config));
  });
}

/** Whoever reads the output has seen enough, as in `get events | head`: no error, and nothing more to do. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

async function main(): Promise<void> {
  process.stdout.on('error', endWithReader);
  const { config: found } = loadConfig({});
  const env = {
    ...(found.url !== '' && { url: found.url }),
    ...(found.adminToken !== '' && { token: found.adminToken }),
    ...(found.ca !== '' && { ca: found.ca }),
    dataDir: found.dataDir,
    color: colourWanted(),
  };
  const program = buildProgram({ env, out: process.stdout, err: process.stderr, untilStopped });
  addRole(
    program,
    'up',
    'run a hub, with this machine as its first site',
    [...HUB_FLAGS, 'site', 'localSite', 'interval'],
    up,
  );
  addRole(
    program,
    'collector',
    'run the collector of this machine; joins with PLUMBLINE_JOIN=TOKEN the first time',
    SITE_FLAGS,
    collector,
  );
  addRole(
    program,
    'config',
    'show every setting, its value and where that comes from',
    [...new Set([...HUB_FLAGS, ...SITE_FLAGS])],
    config,
  );
  addSimulateCommand(program, {
    findHub: (flags) => findConnection(flags, env),
    join: joinHub,
    createGatewayUplink,
    clock: systemClock,
    logger: pino({ level: 'error' }, pino.destination(2)),
    version,
    out: process.stdout,
    err: process.stderr,
    untilStopped,
    fail: (exitCode, message) => {
      throw new Refusal(exitCode, message);
    },
  });
  process.exitCode = await runProgram(program, process.argv.slice(2), process.stderr);
}

main().catch(fail);
