import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { NODE, ROOT, type Running, run, runToEnd, until } from './process.ts';

/** Also in kafka/pom.xml's default; the cache is kept by it. */
const VERSION = '4.1.1';
const HERE = fileURLToPath(new URL('./kafka/', import.meta.url));

/** Something the machine has to have before the test can run; the message says how it is had. */
class MissingPart extends Error {
  readonly code = 'missing-part';
}

/** A real broker, a cluster of one, on ports of its own. It is gone when the test process is, whatever ended that. */
export type KafkaPart = {
  readonly brokers: string[];
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data. */
  restart(): Promise<void>;
  /** Ends it and removes its data. Idempotent. */
  stop(): Promise<void>;
};

export type KafkaOptions = {
  /** Runs it in this namespace, on this address of it; on loopback otherwise. */
  namespace?: string;
  host?: string;
};

export async function startKafka({ namespace, host = '127.0.0.1' }: KafkaOptions = {}): Promise<KafkaPart> {
  const libs = await jars();
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-kafka-'));
  const [port, controllerPort] = await freePorts();
  const settings = join(dir, 'server.properties');
  const template = await readFile(join(HERE, 'server.properties'), 'utf8');
  const values: Record<string, string | number> = { host, port, controllerPort, dataDir: join(dir, 'data') };
  const filled = template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  await writeFile(settings, filled);
  const brokers = [`${host}:${port}`];
  const place = namespace === undefined ? {} : { namespace };
  let broker: Running | null = null;
  let doorway: Running | null = null;
  const restart = async () => {
    broker = run(java(libs, '-Xmx512m', 'kafka.Kafka', settings), { cwd: dir, ...place });
    if (namespace !== undefined && doorway === null)
      doorway = await openDoorway(join(dir, 'doorway'), host, port, namespace);
    await ready(broker, brokers, doorway === null ? null : join(dir, 'doorway'));
  };
  const stop = async () => {
    await doorway?.kill('SIGKILL');
    await broker?.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  };
  try {
    // Hexadecimal, as 16 bytes of base64url are: one that began with a dash would be read as an option.
    const clusterId = randomBytes(11).toString('hex');
    await runToEnd(
      java(
        libs,
        '-XX:TieredStopAtLevel=1',
        'kafka.tools.StorageTool',
        'format',
        '-t',
        clusterId,
        '-c',
        settings,
      ),
    );
    await restart();
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers, kill: async () => broker?.kill('SIGKILL'), restart, stop };
}

function java(libs: string, ...rest: string[]): string[] {
  return ['java', '-XX:+UseSerialGC', '-cp', join(libs, '*'), ...rest];
}

/** Fetches the broker's jars once a version and machine. Two processes may do it at once: the first to finish wins. */
async function jars(): Promise<string> {
  need('java', '-version', 'a Java runtime of version 17 or later (Debian: openjdk-17-jdk-headless)');
  const home = join(homedir(), '.cache', 'plumbline', `kafka-${VERSION}`);
  const libs = join(home, 'libs');
  if (existsSync(libs)) return libs;
  need('mvn', '-version', 'Maven (Debian: maven)');
  await mkdir(join(home, '..'), { recursive: true });
  const making = await mkdtemp(`${home}.`);
  await runToEnd([
    ...['mvn', '--batch-mode', '--quiet', '--file', join(HERE, 'pom.xml')],
    ...[`-Dkafka.version=${VERSION}`, `-DoutputDirectory=${join(making, 'libs')}`],
    'dependency:copy-dependencies',
  ]);
  await rename(making, home).catch(async (error: unknown) => {
    await rm(making, { recursive: true, force: true });
    if (!existsSync(libs)) throw error;
  });
  return libs;
}

function need(command: string, argument: string, what: string): void {
  const { error } = spawnSync(command, [argument], { stdio: 'ignore' });
  if (error !== undefined) throw new MissingPart(`\`${command}\` cannot be run: install ${what}`);
}

/** A way into the namespace for the one question whether the broker is ready. */
async function openDoorway(path: string, host: string, port: number, namespace: string): Promise<Running> {
  const doorway = run([NODE, `${ROOT}test/parts/doorway.js`, path, host, String(port)], { namespace });
  await until('the doorway is open', () => doorway.output().includes('open'));
  return doorway;
}

async function ready(broker: Running, brokers: string[], doorway: string | null): Promise<void> {
  const kafka = new Kafka({
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 500,
    ...(doorway !== null && {
      socketFactory: ({ onConnect }: { onConnect: () => void }) => connect(doorway, onConnect),
    }),
    retry: { retries: 0 },
  });
  await until(
    'Kafka answers',
    async () => {
      if (broker.exited()) return true;
      const admin = kafka.admin();
      try {
        await admin.connect();
        return (await admin.describeCluster()).brokers.length > 0;
      } finally {
        await admin.disconnect();
      }
    },
    60_000,
    broker.output,
  );
  if (broker.exited()) throw new Error(`Kafka ended while it started:\n${broker.output()}`);
  await groupsReady(kafka, broker);
}

/** The first group that is asked for makes the broker make its topic for groups. */
async function groupsReady(kafka: Kafka, broker: Running): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    // Without it the library knows no broker to ask for a coordinator.
    await admin.describeCluster();
    const asked = async () => (await admin.describeGroups(['ready'])).groups.length > 0;
    await until('Kafka has groups', asked, 60_000, broker.output);
  } finally {
    await admin.disconnect();
  }
}

/** Two that are free now, held together so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          resolve(typeof address === 'object' && address !== null ? address.port : 0);
        });
      }),
  );
  const [first = 0, second = 0] = await Promise.all(ports);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [first, second];
}
