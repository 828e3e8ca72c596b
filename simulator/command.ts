import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { decodeJoinToken, type JoinToken } from '../core/join-token.ts';
import type { Labels } from '../core/model/site.ts';
import { plural } from '../core/plural.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { PolicyLink } from '../core/ports/policy-link.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import type { FleetStats, JoinedSite } from './fleet.ts';
import { type Incident, readIncidents } from './incidents.ts';
import { type HubAddress, type Invitations, openInvitations } from './invitations.ts';
import type { AgentFactory } from './policy/site-policy.ts';
import { ordinaryTraffic, readTraffic, type Traffic } from './policy/traffic.ts';
import { type Registered, runSimulation } from './run.ts';

type SimulatedSite = JoinedSite & { ca: string | null; url: string; instance: string };

export type SimulateDeps = {
  /** Where the hub is, from flags, environment or a hub on this machine. Throws what to print when there is none. */
  findHub: (flags: { url?: string; token?: string; ca?: string }) => HubAddress;
  join: (options: {
    token: JoinToken;
    instance: string;
  }) => Promise<
    { ok: true; key: string; ca: string | null; url: string } | { ok: false; code: string; detail: string }
  >;
  createGatewayUplink: (options: {
    url: string;
    site: string;
    key: Buffer;
    ca: string | null;
    instance: string;
    clock: Clock;
    logger: Logger;
  }) => Uplink & PolicyLink;
  /** The policy agent that hosts run, before a dataplane that is not there. */
  createAgent: AgentFactory;
  clock: Clock;
  logger: Logger;
  version: string;
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream;
  /** Called when the run begins; aborts when whoever runs this wants it to end (SIGINT, SIGTERM). */
  untilStopped: () => AbortSignal;
  /** Ends the command with a code (1 the hub said no, 3 no hub answers) and a line for a person. */
  fail: (exitCode: 1 | 3, message: string) => never;
};

type Options = {
  sites: number;
  seed: number;
  interval: number;
  incidents: readonly Incident[];
  workload?: string;
  traffic?: { path: string; traffic: Traffic };
  for?: number;
};

/** How often a file of traffic is looked at. */
const LOOK_EVERY_MS = 500;

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `plumbline simulate`: a fleet that is not there, over the real gateway, labelled as simulated everywhere. */
export function addSimulateCommand(program: Command, deps: SimulateDeps): void {
  program
    .command('simulate')
    .description('send honest reports of sites that are not there, labelled as simulated everywhere')
    .option('--sites <n>', 'how many sites', readCount(1, 100_000), 50)
    .option('--seed <n>', 'what decides names, behaviours and incidents', readCount(0, 999_999_999), 1)
    .addOption(
      new Option('--interval <duration>', 'between two reports of a site')
        .argParser(readDuration)
        .default(10_000, '10s'),
    )
    .addOption(
      new Option('--incidents <which>', 'none, some, or a JSON list')
        .argParser(readWhich)
        .default(readWhich('none'), 'none'),
    )
    .option(
      '--workload <name>',
      'a workload at every site, labelled app=NAME, with ordinary traffic',
      readName,
    )
    .addOption(
      new Option(
        '--traffic <file>',
        'YAML with the workloads and what they connect to; read again when it changes',
      )
        .argParser(readTrafficFile)
        .conflicts('workload'),
    )
    .option('--for <duration>', 'how long; until Ctrl-C if not given', readDuration)
    .action(async (options: Options, command: Command) => {
      await simulate(options, deps.findHub(command.optsWithGlobals()), deps);
    });
}

async function simulate(options: Options, hub: HubAddress, deps: SimulateDeps): Promise<void> {
  const { clock, logger, version, out, err } = deps;
  const invitations = openInvitations(hub);
  const traffic = followTraffic(options, err);
  const runId = `sim-${options.seed}-${clock.nowMs().toString(36)}`;
  try {
    err.write(
      `Simulating ${plural(options.sites, 'site')} with seed ${options.seed} at ${hub.url.origin}. Ctrl-C stops.\n`,
    );
    const result = await runSimulation({
      sites: options.sites,
      seed: options.seed,
      intervalMs: options.interval,
      incidents: options.incidents,
      traffic: traffic.now,
      createAgent: deps.createAgent,
      forMs: options.for ?? null,
      register: (site, labels) => register(site, labels, `${runId}-${site}`.slice(0, 64), invitations, deps),
      connect: (site: SimulatedSite) => deps.createGatewayUplink({ ...site, clock, logger }),
      clock,
      logger,
      version,
      signal: deps.untilStopped(),
      onProgress: (progress) =>
        err.write(
          'stats' in progress
            ? `${progress.stats.connected} of ${options.sites} connected, ${describe(progress.stats)}\n`
            : `${progress.registered} of ${plural(options.sites, 'site is', 'sites are')} registered\n`,
        ),
    });
    if (!result.ok) deps.fail(result.code === 'unreachable' ? 3 : 1, `${result.detail} [${result.code}]`);
    else {
      out.write(`${describe(result.stats)}\n`);
      err.write(
        'The sites stay registered. `plumbline site remove -l simulated --yes` removes all simulated ones.\n',
      );
    }
  } finally {
    traffic.close();
    invitations.close();
  }
}

async function register(
  site: string,
  labels: Labels,
  instance: string,
  invitations: Invitations,
  deps: SimulateDeps,
): Promise<Registered<SimulatedSite>> {
  const invited = await invitations.invite(site, labels);
  if (!invited.ok) return invited;
  const decoded = decodeJoinToken(invited.token);
  if (!decoded.ok) return { ok: false, code: 'bad-answer', detail: decoded.reason };
  const joined = await deps.join({ token: decoded.token, instance });
  if (!joined.ok) return joined;
  const { key, ca, url } = joined;
  return { ok: true, joined: { site, labels, key: Buffer.from(key, 'base64url'), ca, url, instance } };
}

function describe(stats: FleetStats): string {
  const { sent, acked, held, dropped, bytes } = stats;
  return `${sent} reports made, ${acked} acknowledged (${(bytes / 1e6).toFixed(1)} MB), ${held} held, ${dropped} dropped`;
}

function readCount(least: number, most: number) {
  return (text: string): number => {
    const count = Number(text);
    if (!/^[0-9]+$/.test(text) || count < least || count > most)
      throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
    return count;
  };
}

function readDuration(text: string): number {
  const [, amount = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNITS[unit] ?? Number.NaN);
  if (!(ms >= 100 && ms <= 1e10))
    throw new InvalidArgumentError('It is a number with a unit (ms, s, m, h), at least 100ms, as 10s.');
  return ms;
}

function readWhich(text: string): readonly Incident[] {
  const read = readIncidents(text);
  if (!read.ok) throw new InvalidArgumentError(`"${text}": ${read.reason}.`);
  return read.incidents;
}

function readName(text: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError('It has 1 to 63 small letters, digits and hyphens, as checkout.');
  return text;
}

/** What the workloads connect to now: a file may say otherwise later, and one that then is wrong changes nothing. */
function followTraffic(
  { traffic: given, workload }: Options,
  err: NodeJS.WritableStream,
): { now: () => Traffic; close: () => void } {
  if (given === undefined) {
    const always = workload === undefined ? [] : ordinaryTraffic(workload);
    return { now: () => always, close() {} };
  }
  const { path } = given;
  let newest = given.traffic;
  const readAgain = () => {
    try {
      newest = readTrafficFile(path).traffic;
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      err.write(`The traffic stays as it was. ${error.message}\n`);
    }
  };
  watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, readAgain);
  return { now: () => newest, close: () => unwatchFile(path, readAgain) };
}

function readTrafficFile(path: string): { path: string; traffic: Traffic } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InvalidArgumentError(
      `It can't be read: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  const read = readTraffic(text);
  if (!read.ok) throw new InvalidArgumentError(`${path}: ${read.reason}.`);
  return { path, traffic: read.traffic };
}
