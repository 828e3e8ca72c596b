/** Control on real parts (SQLite, chDB) under a clock that stands still until told. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import type { Hearing } from '../../core/freshness.ts';
import type { Command, Resource } from '../../core/model/resource.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Table, TableView } from '../../core/ports/table.ts';
import { sha256 } from '../../core/seal.ts';
import { type Control, createControl } from '../../policy/control.ts';
import { createEvidence } from '../../policy/evidence/evidence.ts';
import { testKeyring } from '../parts/keyring.ts';

export const NOON = Date.UTC(2026, 0, 15, 12);
export const HOUR_MS = 3_600_000;
export const secretHash = (secret: string) => sha256(secret).toString('hex');

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = { counter: () => () => {}, gauge: () => () => {}, histogram: () => () => {} };

function standingClock(startMs = NOON) {
  let ms = startMs;
  return {
    nowMs: () => ms,
    monoMs: () => ms - startMs,
    advance(byMs: number) {
      ms += byMs;
    },
  };
}

export async function until<T>(what: string, look: () => Promise<T | false> | T | false): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function siteState(site: string, receivedAtMs: number, part: Partial<SiteState> = {}): SiteState {
  return {
    site,
    kind: 'host',
    boot: '00000001-0a1b2c3d',
    seq: 1,
    payloadHash: 'x',
    ts: receivedAtMs,
    receivedAtMs,
    intervalMs: 10_000,
    clockOffsetMs: 0,
    version: '0.1.0',
    score: 100,
    shown: 100,
    caps: [],
    components: { connectivity: 100 },
    penalties: [],
    cpu: 0.1,
    memory: 0.2,
    disk: 0.3,
    links: { total: 1, up: 1 },
    probesFailingSinceMs: null,
    probesLostAtMs: null,
    discovered: {},
    ...part,
  };
}

/** Asked by an administrator, or by the site that joins, unless told. */
export function command(
  wanted: Command['do'],
  id: string = randomUUID(),
  part: Partial<Omit<Command, 'do'>> = {},
): Command {
  const role = wanted.verb === 'site.join' ? 'site' : 'admin';
  return { id, by: 'ada', role, atMs: NOON, do: wanted, ...part };
}

export function virtualSite(name: string, selector: string): Command['do'] {
  return {
    verb: 'apply',
    document: { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata: { name }, spec: { selector } },
  };
}

export function newSite(site: string, labels: Record<string, string> = {}, part: object = {}): Command['do'] {
  return {
    verb: 'site.add',
    site,
    labels,
    joinSecretHash: secretHash('s3cret'),
    joinExpiresAtMs: NOON + HOUR_MS,
    renew: false,
    ...part,
  };
}

type Census = Parameters<typeof createControl>[0]['census'];
type Watermark = Parameters<Census['count']>[0];

/** A census that notes what it is asked. */
function notingCensus() {
  const counted: Watermark[] = [];
  const backfilled: string[] = [];
  const census: Census = {
    async count(from, nowMs) {
      counted.push(from);
      return { minutesThroughMs: Math.floor(nowMs / 60_000) * 60_000, dirtyThroughMs: nowMs };
    },
    async backfillVirtualSite(name) {
      backfilled.push(name);
    },
  };
  return { census, counted, backfilled };
}

/** Questions to the store. */
function asking(store: Store) {
  return {
    events(kind: string) {
      return store.query<{ id: string; at: number; site: string; message: string; by: string }>(
        'SELECT id, toUnixTimestamp64Milli(at) AS at, site, message, by FROM plumbline.event FINAL WHERE kind = {kind:String} ORDER BY at, id',
        { kind },
      );
    },
    memberships(name: string) {
      return store.query<{ site: string; from: number; to: number }>(
        `SELECT site, toUnixTimestamp64Milli(from_at) AS from, toUnixTimestamp64Milli(to_at) AS to
         FROM plumbline.membership FINAL WHERE virtual_site = {name:String} AND to_at > from_at ORDER BY site, from`,
        { name },
      );
    },
    /** Resolves when the history of a virtual site was opened and counted, and is known to be. */
    async historyOf(name: string) {
      const marker =
        "SELECT 1 AS one FROM plumbline.membership WHERE virtual_site = {name:String} AND site = ''";
      await until('the history', async () => (await store.query(marker, { name })).length > 0);
    },
  };
}

/** What a caller does: commands in, resources out. */
function calling(log: Log, table: Table, resources: TableView) {
  const calls = {
    async send(...commands: Command[]) {
      await log.append(
        'commands',
        commands.map((one) => ({ key: 'one', value: Buffer.from(JSON.stringify(one)) })),
      );
    },
    resource(kind: Resource['kind'], name: string) {
      const value = resources.get(`${kind}/${name}`);
      return value === undefined ? undefined : JSON.parse(Buffer.from(value).toString('utf8'));
    },
    results() {
      return [...resources.entries()].filter(([key]) => key.startsWith('CommandResult/')).length;
    },
    /** Has a command carried out and gives its result. */
    async ask(wanted: Command['do']) {
      const one = command(wanted);
      await calls.send(one);
      const spec = () => calls.resource('CommandResult', one.id)?.spec ?? false;
      return until(`a result of ${wanted.verb}`, spec);
    },
    async say(...states: SiteState[]) {
      await table.write(
        'state',
        states.map((state) => ({ key: state.site, value: Buffer.from(JSON.stringify(state)) })),
      );
    },
  };
  return calls;
}

type Clock = ReturnType<typeof standingClock>;
/** What log and table are on. One whose records are not stamped by the clock given has it begin with its own. */
export type Engine = { startMs: number; open: (dir: string, clock: Clock) => { log: Log; table: Table } };

const bounds = { partitions: 2, retentionMs: 24 * HOUR_MS, retentionBytes: 1e9 };
const sqlite: Engine = {
  startMs: NOON,
  open: (dir, clock) => openSqlite({ dir, ...bounds, logger: quiet, clock }),
};

/** A hub's parts without aggregator and api: controls are started on them one after the other. */
export async function openParts({ startMs, open }: Engine = sqlite) {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-control-'));
  const clock = standingClock(startMs);
  const { log, table } = open(dir, clock);
  const store = openStore({ path: join(dir, 'store') }, { logger: quiet });
  await log.start();
  await table.start();
  await store.start();
  const resources = await table.view('resources');
  const controls: Control[] = [];
  const keyring = testKeyring();
  const hearing: Hearing = { sinceMs: startMs, caughtUp: true };
  let hearings = 0;
  const listen = () => {
    hearings++;
    return hearing;
  };
  const { census, ...noted } = notingCensus();
  const calls = calling(log, table, resources);
  const given = () => ({
    log,
    table,
    store,
    census,
    clock,
    logger: quiet,
    metrics,
    hearing: listen,
    keyring,
    evidence: createEvidence({ store }),
    tickMs: 10,
  });
  return {
    clock,
    log,
    table,
    store,
    hearing,
    ...noted,
    ...calls,
    ...asking(store),
    given,
    async control(part: Partial<Parameters<typeof createControl>[0]> = {}) {
      const control = createControl({ ...given(), ...part });
      controls.push(control);
      await control.start();
      return control;
    },
    /** Lets time pass in steps in which control beats and ticks, so that it is never taken for having been away. */
    async pass(ms: number) {
      for (let leftMs = ms; leftMs > 0; leftMs -= 10_000) {
        clock.advance(Math.min(leftMs, 10_000));
        const before = hearings;
        const beaten = () => calls.resource('HubStatus', 'hub')?.spec.aliveAtMs === clock.nowMs();
        await until('a beat', () => leftMs < 5_000 || beaten());
        // A tick asks twice: of five times, two are of a tick that began after the step.
        await until('a tick', () => hearings >= before + 5);
      }
    },
    async close() {
      for (const control of controls) await control.stop();
      await resources.close();
      await store.stop();
      await table.stop();
      await log.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export type Parts = Awaited<ReturnType<typeof openParts>>;
