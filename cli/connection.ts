import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, Refusal } from './exit.ts';

/** Where the hub may be said to be: by the environment, or by the files that a hub on this machine wrote. */
export type CliEnvironment = {
  url?: string | undefined;
  token?: string | undefined;
  /** File with the CA certificate of the hub, PEM. */
  ca?: string | undefined;
  dataDir: string;
  color: boolean;
};

export type Connection = { url: URL; token: string; ca: string | null };

/** What the hub writes to its data directory when it starts. */
const URL_FILE = 'hub.url';
const TOKEN_FILE = 'admin.token';
const CA_FILE = 'hub.ca.pem';

/**
 * Flags first, then the environment, then the data directory of a hub on this machine. That hub's own token and CA are
 * offered to nobody but that hub, or to loopback.
 */
export function findConnection(
  flags: { url?: string | undefined; token?: string | undefined; ca?: string | undefined },
  env: CliEnvironment,
): Connection {
  const local = fileText(env.dataDir, URL_FILE)?.split('\n')[0]?.trim() || undefined;
  const text = flags.url || env.url || local;
  if (text === undefined)
    throw new Refusal(
      EXIT.unreachable,
      `No hub is running with the data directory ${env.dataDir}. Start one with \`plumbline up\`, or name one with --url or PLUMBLINE_URL.`,
    );
  const url = readUrl(text);
  const isLocal = (local !== undefined && readUrl(local).origin === url.origin) || isLoopback(url.hostname);
  const token =
    flags.token ||
    env.token ||
    (isLocal ? fileText(env.dataDir, TOKEN_FILE)?.trim() : undefined) ||
    undefined;
  if (token === undefined)
    throw new Refusal(
      EXIT.usage,
      `No token for ${url.origin}${isLocal ? `: ${join(env.dataDir, TOKEN_FILE)} is not there` : ''}. Give one with --token or PLUMBLINE_TOKEN.`,
    );
  const namedCa = flags.ca || env.ca || undefined;
  const ca = namedCa === undefined ? (isLocal ? fileText(env.dataDir, CA_FILE) : undefined) : readCa(namedCa);
  return { url, token, ca: url.protocol === 'https:' ? (ca ?? null) : null };
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Refusal(
      EXIT.usage,
      `"${text}" is not a hub's address; write it as http://127.0.0.1:7117 or https://hub.example:7117.`,
    );
  return url;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}

function readCa(path: string): string {
  if (!existsSync(path))
    throw new Refusal(EXIT.usage, `There is no CA certificate at ${path}; correct --ca or PLUMBLINE_CA.`);
  return readText(path);
}

function fileText(dir: string, name: string): string | undefined {
  const path = join(dir, name);
  return existsSync(path) ? readText(path) : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new Refusal(EXIT.usage, `${path} can't be read (${code}); run this as the user that owns it.`);
  }
}
