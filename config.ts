import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { Compile } from 'typebox/compile';
import { parse as parseYaml } from 'yaml';
import { ConfigError, type FileOnly, readEnforcement, readLinks } from './config-file.ts';
import { Labels, SITE_ID_PATTERN, toSiteId } from './core/model/site.ts';

/*
 * Every setting of every role: its key in plumbline.yaml, its variable PLUMBLINE_*, its flag, its default. A flag beats a
 * variable, a variable beats the file, the file beats the default. This is the only reader of environment, flags and files.
 */

const kinds = {
  text: (text: string) => text,
  /** "250ms", "10s", "5m", "24h", "3d" → ms. */
  duration(text: string): number | null {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
    if (!match) return null;
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? ''];
    return unit === undefined ? null : Number(match[1]) * unit;
  },
  /** "64kB", "256MB", "2GB" → bytes (powers of ten). */
  size(text: string): number | null {
    const match = /^(\d+(?:\.\d+)?)(B|kB|MB|GB)$/.exec(text);
    if (!match) return null;
    const unit = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[match[2] ?? ''];
    return unit === undefined ? null : Math.round(Number(match[1]) * unit);
  },
  count: (text: string) => (/^\d{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : null),
  flag: (text: string) => ({ true: true, false: false, '1': true, '0': false })[text] ?? null,
  list: (text: string) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  labels(text: string): Labels | null {
    const entries = kinds.list(text).map((pair) => pair.split('='));
    const labels = Object.fromEntries(entries.map(([key, value]) => [key ?? '', value ?? '']));
    return entries.every((pair) => pair.length === 2) && labelsValidator.Check(labels) ? labels : null;
  },
  listen(text: string): { host: string; port: number } | null {
    const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    return match && port <= 65535 ? { host: match[1] ?? (match[2] || '0.0.0.0'), port } : null;
  },
  httpUrl(text: string): string | null {
    const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
    return isHttp ? text.replace(/\/+$/, '') : null;
  },
  /** "127.0.0.1:5353", or "off". */
  endpoint: (text: string) => (text === 'off' ? 'off' : kinds.listen(text)),
  portRange(text: string): { from: number; to: number } | null {
    const [from = 0, to = 0] = (/^(\d{1,5})-(\d{1,5})$/.exec(text)?.slice(1) ?? []).map(Number);
    return from > 1023 && from <= to && to <= 65_535 ? { from, to } : null;
  },
  siteId: (text: string) => (new RegExp(SITE_ID_PATTERN).test(text) ? text : null),
  level: (text: string) => (['debug', 'info', 'warn', 'error', 'silent'].includes(text) ? text : null),
};
type Kind = keyof typeof kinds;
type ValueOf<K extends Kind> = Exclude<ReturnType<(typeof kinds)[K]>, null>;
const labelsValidator = Compile(Labels);

const FORMS: Record<Kind, string> = {
  text: 'text',
  duration: 'a duration as 250ms, 10s, 5m, 24h or 3d',
  size: 'a size as 64kB, 256MB or 2GB',
  count: 'a whole number above 0',
  flag: 'true or false',
  list: 'items with commas between them',
  labels: 'labels as env=test,region=tokyo',
  listen: 'host:port, as 127.0.0.1:7117 or [::]:7117',
  endpoint: 'host:port, as 127.0.0.1:5353, or off',
  portRange: 'a range of ports above 1023, as 65400-65499',
  httpUrl: 'an address as https://hub.example:7117',
  siteId: 'lower case letters, digits and hyphens, at most 63',
  level: 'debug, info, warn, error or silent',
};

const SETTINGS = {
  listen: {
    kind: 'listen',
    default: '127.0.0.1:7117',
    about: 'Where the hub listens; beyond loopback it speaks TLS only. Port 0 picks one.',
  },
  publicUrl: {
    kind: 'httpUrl',
    default: '',
    about: 'The address that join tokens carry, when sites reach the hub under another name.',
  },
  dataDir: {
    kind: 'text',
    default: defaultDataDir(),
    about: 'Where the hub or the collector keeps everything it must not forget.',
  },
  kafkaBrokers: {
    kind: 'list',
    default: '',
    about: 'Kafka brokers for log and tables; SQLite in the data directory when empty.',
  },
  kafkaPrefix: { kind: 'text', default: 'plumbline', about: 'What the names of Kafka topics begin with.' },
  kafkaReplication: {
    kind: 'count',
    default: '1',
    about: 'Replication factor of Kafka topics that the hub creates.',
  },
  partitions: { kind: 'count', default: '6', about: 'Partitions of a log; fixed once it was made.' },
  clickhouseUrl: {
    kind: 'httpUrl',
    default: '',
    about: 'A ClickHouse server; ClickHouse in this process when empty.',
  },
  logRetention: { kind: 'duration', default: '24h', about: 'How long the logs keep reports.' },
  logMaxSize: { kind: 'size', default: '4GB', about: 'How much the SQLite log keeps at most.' },
  tlsCert: {
    kind: 'text',
    default: '',
    about: "PEM file of a certificate chain to serve instead of one of the hub's own making.",
  },
  tlsKey: { kind: 'text', default: '', about: "PEM file of that certificate's key." },
  tlsCa: {
    kind: 'text',
    default: '',
    about: 'PEM file of the CA certificate that signed it; join tokens carry its pin.',
  },
  logLevel: {
    kind: 'level',
    default: process.stderr.isTTY ? 'warn' : 'info',
    about: 'The least level that is logged (to standard error, as JSON).',
  },
  localSite: { kind: 'flag', default: 'true', about: 'Whether `up` shows the machine it runs on as a site.' },
  site: {
    kind: 'siteId',
    default: toSiteId(hostname()) || 'this-machine',
    about: 'The id of the site that `up` makes of its machine.',
  },
  join: {
    kind: 'text',
    default: '',
    about: 'A join token from `plumbline site add`; needed once, the key is kept.',
  },
  interval: { kind: 'duration', default: '10s', about: 'How often a collector reports.' },
  labels: {
    kind: 'labels',
    default: '',
    about: 'Labels that a site proposes; views show them under proposed/.',
  },
  spoolMaxSize: {
    kind: 'size',
    default: '256MB',
    about: 'How much a collector holds at most while it is cut off.',
  },
  spoolMaxAge: {
    kind: 'duration',
    default: '24h',
    about: 'How long it holds it at most; the hub quarantines what is older.',
  },
  linkTimeout: {
    kind: 'duration',
    default: '900ms',
    about: 'How long an attempt on a link may take before it counts as lost.',
  },
  confirmWindow: {
    kind: 'duration',
    default: '60s',
    about: 'How long a changed policy may take to prove that it leaves the way to the hub open.',
  },
  dnsForwarder: {
    kind: 'endpoint',
    default: 'off',
    about:
      "Where the collector answers DNS questions of this machine, so that a name's addresses are let through first.",
  },
  probePorts: {
    kind: 'portRange',
    default: '65400-65499',
    about: 'Source ports of the connections that a site tries under a workload to prove its policy.',
  },
  adminToken: {
    kind: 'text',
    default: '',
    about: "For the CLI: a token (PLUMBLINE_TOKEN); found in the data directory on the hub's machine.",
    env: 'PLUMBLINE_TOKEN',
    flag: 'token',
  },
  ca: {
    kind: 'text',
    default: '',
    about:
      'For the CLI: file with the CA certificate of the hub (PEM); found in the data directory on its machine.',
  },
  url: {
    kind: 'text',
    default: '',
    about: "For the CLI: the hub's address; found in the data directory on its machine.",
  },
} as const satisfies Record<
  string,
  { kind: Kind; default: string; about: string; env?: string; flag?: string }
>;

export type SettingName = keyof typeof SETTINGS;
type Settings = { -readonly [S in SettingName]: ValueOf<(typeof SETTINGS)[S]['kind']> };

export type Config = Settings & FileOnly;
export type Source = 'default' | 'file' | 'variable' | 'flag';
export type LoadedConfig = {
  config: Config;
  sources: { key: string; variable: string; flag: string; value: string; source: Source; about: string }[];
};

export function variableOf(key: SettingName): string {
  const setting = SETTINGS[key];
  return 'env' in setting
    ? setting.env
    : `PLUMBLINE_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function flagOf(key: SettingName): string {
  const setting = SETTINGS[key];
  return 'flag' in setting ? setting.flag : key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The settings a command takes as flags, for its help. */
export function describeSettings(): {
  key: SettingName;
  flag: string;
  about: string;
  form: string;
  default: string;
}[] {
  return settingNames().map((key) => ({
    key,
    flag: flagOf(key),
    about: SETTINGS[key].about,
    form: FORMS[SETTINGS[key].kind],
    default: SETTINGS[key].default,
  }));
}

/** Reads every source. `flags` holds what was given on the command line, by key; `file` names a YAML file. Throws ConfigError. */
export function loadConfig(flags: Partial<Record<SettingName, string>>, file?: string): LoadedConfig {
  const fromFile = file === undefined ? {} : readFile(file);
  const sources: LoadedConfig['sources'] = [];
  const values: Record<string, unknown> = {
    links: readLinks(fromFile.links, file),
    enforcement: readEnforcement(fromFile.enforcement, file),
  };
  for (const key of settingNames()) {
    const { value, source } = pick(key, flags, fromFile);
    const where = {
      flag: `--${flagOf(key)}`,
      variable: variableOf(key),
      file: `${file}, key "${key}"`,
      default: 'the default',
    }[source];
    const parsed =
      value === '' && SETTINGS[key].default === ''
        ? emptyOf(SETTINGS[key].kind)
        : kinds[SETTINGS[key].kind](value);
    if (parsed === null) throw new ConfigError(`${where}: "${value}" is not ${FORMS[SETTINGS[key].kind]}`);
    values[key] = parsed;
    const secret = key === 'join' || key === 'adminToken';
    sources.push({
      key,
      variable: variableOf(key),
      flag: `--${flagOf(key)}`,
      value: secret && value !== '' ? '(secret)' : value,
      source,
      about: SETTINGS[key].about,
    });
  }
  if (!isConfig(values)) throw new Error('settings and their types disagree');
  if (values.interval < 100 || values.interval > 3_600_000)
    throw new ConfigError('interval: a collector reports every 100 ms to 1 h');
  return { config: { ...values, dataDir: resolve(values.dataDir) }, sources };
}

function pick(
  key: SettingName,
  flags: Partial<Record<SettingName, string>>,
  file: Record<string, unknown>,
): { value: string; source: Source } {
  const flag = flags[key];
  if (flag !== undefined) return { value: flag, source: 'flag' };
  const variable = process.env[variableOf(key)];
  if (variable !== undefined && variable !== '') return { value: variable, source: 'variable' };
  const inFile = file[key];
  if (inFile === undefined) return { value: SETTINGS[key].default, source: 'default' };
  return { value: textOf(inFile), source: 'file' };
}

/** A YAML value in the text form that flags and variables have. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(',');
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([key, item]) => `${key}=${String(item)}`)
      .join(',');
  return String(value);
}

function readFile(file: string): Record<string, unknown> {
  if (!existsSync(file)) throw new ConfigError(`--config: there is no file ${file}`);
  let value: unknown;
  try {
    value = parseYaml(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new ConfigError(`${file}: ${error instanceof Error ? error.message : 'not YAML'}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${file}: settings as "key: value" lines are expected`);
  const known = new Set<string>([...settingNames(), 'links', 'enforcement']);
  const unknown = Object.keys(value).find((key) => !known.has(key));
  if (unknown !== undefined)
    throw new ConfigError(`${file}: "${unknown}" is not a setting; \`plumbline config\` lists them`);
  return { ...value };
}

function emptyOf(kind: Kind): unknown {
  if (kind === 'list') return [];
  if (kind === 'labels') return {};
  return '';
}

/** True by construction: each value came out of its kind's parser. */
function isConfig(values: Record<string, unknown>): values is Config {
  return settingNames().every((key) => values[key] !== undefined);
}

function settingNames(): SettingName[] {
  const isName = (key: string): key is SettingName => Object.hasOwn(SETTINGS, key);
  return Object.keys(SETTINGS).filter(isName);
}

function defaultDataDir(): string {
  const base = process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return join(base, 'plumbline');
}

/** What the processes of the demo inherit: where programs are, and nothing that says how Plumbline is set. */
export function inherited(): Record<string, string> {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME, UV_THREADPOOL_SIZE: '16', ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) };
}

/** Whether output may be coloured: https://no-color.org */
export function colourWanted(): boolean {
  return process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb' && process.stdout.isTTY === true;
}
