import { flushCompileCache } from 'node:module';
import { Command, Option } from 'commander';
import { describeSettings, type LoadedConfig, loadConfig, type SettingName } from './config.ts';
import { fail } from './main/process.ts';

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
  'confirmWindow',
  'dnsForwarder',
  'probePorts',
  'logLevel',
];

/** Each role loads its parts when it runs, so that a collector carries nothing of a hub. */
const ROLES: readonly Role[] = [
  {
    name: 'up',
    about: 'run a hub, with this machine as its first site',
    flags: [...HUB_FLAGS, 'site', 'localSite', 'interval'],
    run: async (loaded) => (await import('./main/up.ts')).up(loaded),
  },
  {
    name: 'collector',
    about: 'run the collector of this machine; joins with PLUMBLINE_JOIN=TOKEN the first time',
    flags: SITE_FLAGS,
    run: async (loaded) => (await import('./main/collect.ts')).collector(loaded),
  },
  {
    name: 'disarm',
    about: 'at a site: let go of every policy at once, without the hub, until `plumbline arm`',
    flags: ['dataDir', 'logLevel'],
    run: async (loaded) => (await import('./main/arming.ts')).disarm(loaded),
  },
  {
    name: 'arm',
    about: 'at a site: obey its policies again after `plumbline disarm`',
    flags: ['dataDir', 'logLevel'],
    run: async (loaded) => (await import('./main/arming.ts')).arm(loaded),
  },
  {
    name: 'config',
    about: 'show every setting, its value and where that comes from',
    flags: [...new Set([...HUB_FLAGS, ...SITE_FLAGS])],
    run: async (loaded) => (await import('./main/settings.ts')).showSettings(loaded),
  },
];
type Role = {
  name: string;
  about: string;
  flags: readonly SettingName[];
  run: (loaded: LoadedConfig) => Promise<void>;
};

function addRole(program: Command, { name, about, flags, run }: Role): void {
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
  const argv = process.argv.slice(2);
  const addRoles = (program: Command) => {
    for (const role of ROLES) addRole(program, role);
  };
  if (ROLES.some(({ name }) => name === argv[0])) {
    const program = new Command('plumbline').exitOverride();
    addRoles(program);
    await program.parseAsync(argv, { from: 'user' });
    // Now, since a role ends by a signal and then it may be too late.
    flushCompileCache();
  } else process.exitCode = await (await import('./main/cli.ts')).runCli(argv, addRoles);
}

main().catch(fail);
