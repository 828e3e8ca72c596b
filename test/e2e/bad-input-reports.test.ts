import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE, encodeReportFrame, MAX_FRAME_BYTES } from '../../core/channel.ts';
import { prove } from '../api/door.ts';
import { eventually, expectUndisturbed, HandSite, newestOf } from '../parts/hand-site.ts';
import { Collector, Hub } from '../parts/hub.ts';
import { until } from '../parts/process.ts';

const TEN_DAYS_MS = 10 * 24 * 3_600_000;
const CASES_TRIED = 200;
const seed = Number(process.env.BAD_INPUT_SEED ?? Date.now() % 1_000_000);

type Wrong = {
  what: string;
  reason: string;
  /** What the event says: the field, and what to do. */
  says: RegExp;
  /** The second of three reports, sealed. */
  craft: (site: HandSite) => Uint8Array;
  /** It says credibly which report it is, so that the ledger counts it as quarantined. */
  claims: boolean;
  kind?: 'report.conflict';
};

const WRONG: Wrong[] = [
  {
    what: 'a-field-of-another-type',
    reason: 'schema',
    says: /\/intervalMs: text stands where a whole number is needed; write a whole number/,
    craft: (site) => site.seal({ ...site.report(2), intervalMs: 'often' }),
    claims: true,
  },
  {
    what: 'a-field-left-out',
    reason: 'schema',
    says: /\/: the field "held" is missing; add held/,
    craft: (site) => site.seal({ ...site.report(2), held: undefined }),
    claims: true,
  },
  {
    what: 'no-json',
    reason: 'schema',
    says: /is not JSON .*; send what the collector sealed/,
    craft: (site) => site.seal('{"v":1,'),
    claims: false,
  },
  {
    what: 'shorter-than-a-mac',
    reason: 'too-short',
    says: /begins with a MAC of 32 bytes; this has 5/,
    craft: () => Buffer.from('short'),
    claims: false,
  },
  {
    what: 'an-unknown-version',
    reason: 'version',
    says: /\/v is 2 but this hub reads 1; use a collector of the hub's version/,
    craft: (site) => site.seal({ ...site.report(2), v: 2 }),
    claims: true,
  },
  {
    what: 'altered-after-sealing',
    reason: 'mac',
    says: /MAC does not fit .*: join the site again/,
    craft: (site) =>
      Buffer.from(site.seal(site.report(2)).toString('latin1').replace('"missed":0', '"missed":1'), 'latin1'),
    claims: true,
  },
  {
    what: 'sealed-with-another-key',
    reason: 'mac',
    says: /MAC does not fit .* key epoch 1/,
    craft: (site) => new HandSite(site.name, Buffer.alloc(32, 7), '').seal(site.report(2)),
    claims: true,
  },
  {
    what: 'the-name-of-a-neighbour',
    reason: 'identity',
    says: /\/site is "neighbour" but it came from "the-name-of-a-neighbour"; a site reports only for itself/,
    craft: (site) => site.seal({ ...site.report(2), site: 'neighbour' }),
    claims: false,
  },
  {
    what: 'a-clock-ten-days-ahead',
    reason: 'clock',
    says: /\/ts is .* 86\d{4} s after the hub received it .*; set the site's clock/,
    craft: (site) => site.seal(site.report(2, { ts: Date.now() + TEN_DAYS_MS })),
    claims: true,
  },
  {
    what: 'a-clock-ten-days-behind',
    reason: 'clock',
    says: /\/ts is .* 86\d{4} s before the hub received it .*; set the site's clock/,
    craft: (site) => site.seal(site.report(2, { ts: Date.now() - TEN_DAYS_MS })),
    claims: true,
  },
  {
    what: 'another-report-under-a-taken-number',
    reason: 'conflict',
    kind: 'report.conflict',
    says: /report 1 came before with other content .*: remove one and join it as a site of its own/,
    craft: (site) => site.seal(site.report(1, { missed: 3 })),
    claims: false,
  },
];

describe(`bad reports and frames, seed ${seed}`, { timeout: 120_000 }, () => {
  const hub = new Hub();
  let neighbour: Collector | null = null;
  beforeAll(async () => {
    await hub.start();
    neighbour = new Collector(await hub.addSite('neighbour'), { env: { PLUMBLINE_INTERVAL: '500ms' } });
    neighbour.start();
    await until(
      'the neighbour is heard',
      async () => (await hub.site('neighbour')).site.freshness === 'heard',
    );
  });
  afterAll(async () => {
    await neighbour?.remove();
    await hub.remove();
  });

  it.concurrent.each(WRONG)(
    'quarantines a report with $what as $reason, and takes those around it',
    async (wrong) => {
      const { what, reason, says, craft, claims, kind = 'report.quarantined' } = wrong;
      const site = await HandSite.join(hub, what);
      const channel = await site.open();
      await site.send(channel, [site.seal(site.report(1))]);
      await site.send(channel, [craft(site)]);
      const last = claims ? 3 : 2;
      await site.send(channel, [site.seal(site.report(last))]);
      const event = await eventually(hub, what, kind, says);
      expect(event.message.startsWith(`${reason}: `)).toBe(true);
      expect(event.severity).toBe(reason === 'conflict' ? 'critical' : 'warning');
      await until('the report after it is the newest', async () => (await newestOf(hub, what)) === last);
      const { sites } = await hub.doctor();
      expect(sites.find((one) => one.site === what)).toMatchObject({
        ...{ sent: last, stored: 2, quarantined: claims ? 1 : 0, missing: 0, gaps: 0 },
      });
      channel.socket.terminate();
    },
  );

  it('shows what was refused in the doctor, with where to look', async () => {
    const { healthy, checks } = await hub.doctor();
    const check = checks.find(({ name }) => name === 'quarantine');
    expect(check?.status).toBe('warning');
    expect(check?.detail).toMatch(
      new RegExp(`^${WRONG.length} records were refused in the last hour: .*: \\w+ × 1`),
    );
    expect(check?.remedy).toContain('plumbline get events');
    expect(healthy).toBe(true);
  });

  it('says on the slow lane too what is wrong', async () => {
    const site = await HandSite.join(hub, 'slow-lane');
    const channel = await site.open();
    await site.send(channel, [site.seal({ ...site.report(1), missed: 31 })], 'backfill');
    await eventually(
      hub,
      'slow-lane',
      'report.quarantined',
      /schema: \/missed: 31 is too large; use 30 or less/,
    );
    channel.socket.terminate();
  });

  it.concurrent.each([
    ['garbage', Buffer.from('Once upon a time'), CLOSE.malformed, /frame version 79 is not known here/],
    [
      'a lane that is not there',
      Buffer.from([1, 7, 0, 0, 0, 1, 0, 0, 0, 1, 1]),
      CLOSE.malformed,
      /lane 7 is not known/,
    ],
    [
      'an end inside a report',
      Buffer.from([1, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1]),
      CLOSE.malformed,
      /ends inside a report/,
    ],
    ['no report', Buffer.from([1, 0, 0, 0, 0, 1]), CLOSE.malformed, /the frame has no report/],
    [
      'a report of more than 256 kB',
      encodeReportFrame({ frame: 1, lane: 'live', reports: [Buffer.alloc(270_000)] }),
      CLOSE.malformed,
      /1 to 262144 bytes, this one says 270000/,
    ],
    [
      '10 MB',
      Buffer.alloc(10 * MAX_FRAME_BYTES),
      CLOSE.tooBig,
      /at most 1048576 bytes; send fewer reports in one/,
    ],
  ])('closes a channel on a frame with %s, and says why', async (what, frame, code, says) => {
    const name = `frame-${what.toLowerCase().replaceAll(' ', '-')}`;
    const site = await HandSite.join(hub, name);
    const channel = await site.open();
    channel.socket.send(frame);
    expect([code, ...(code === CLOSE.tooBig ? [1006] : [])]).toContain((await channel.closed).code);
    await eventually(hub, name, 'channel.closed', says);
    const again = await site.open();
    await site.send(again, [site.seal(site.report(1))]);
    again.socket.terminate();
  });

  it('takes frames beyond the window in order and in its own time', async () => {
    const site = await HandSite.join(hub, 'hasty');
    const { socket, inbox } = await site.open();
    for (let frame = 1; frame <= 500; frame++)
      socket.send(encodeReportFrame({ frame, lane: 'live', reports: [site.seal(site.report(frame))] }));
    await inbox.next((message) => message.type === 'ack' && message.frame === 500);
    const acks = inbox.all.flatMap((message) => (message.type === 'ack' ? [message.frame] : []));
    expect(acks).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    socket.terminate();
  });

  it('turns away who proves nothing, the wrong key, another site, or a site that is not there', async () => {
    const site = await HandSite.join(hub, 'guarded');
    const early = site.dial();
    await early.inbox.next();
    early.socket.send(encodeReportFrame({ frame: 1, lane: 'live', reports: [site.seal(site.report(1))] }));
    expect(await early.closed).toEqual({
      code: CLOSE.malformed,
      reason: expect.stringMatching(/^prove who you are/),
    });
    const wrongKey = await site.prove('guarded', Buffer.alloc(32, 7));
    expect(await wrongKey.closed).toEqual({
      code: CLOSE.unauthorized,
      reason: expect.stringContaining('join again with a token of plumbline site token guarded'),
    });
    const borrowed = await site.prove('hasty', site.key);
    expect((await borrowed.closed).code).toBe(CLOSE.unauthorized);
    const elsewhere = site.dial('hasty');
    const hello = await elsewhere.inbox.next();
    prove(elsewhere.socket, 'guarded', site.key, hello.type === 'hello' ? hello.nonce : '');
    expect(await elsewhere.closed).toEqual({
      code: CLOSE.unauthorized,
      reason: 'this is the channel of hasty, not of guarded',
    });
    await eventually(hub, 'guarded', 'channel.refused', /the key is not that of guarded/);
    const unknown = await site.prove('never-added');
    expect(await unknown.closed).toEqual({
      code: CLOSE.removed,
      reason: 'the hub knows no site never-added; add it with plumbline site add never-added',
    });
    await eventually(hub, '', 'channel.refused', /the hub knows no site never-added/);
  });

  it('closes the channel of a site that is removed, and does not let it back in', async () => {
    const site = await HandSite.join(hub, 'removed');
    const channel = await site.open();
    await site.send(channel, [site.seal(site.report(1))]);
    expect((await hub.call('DELETE', '/api/v1/sites/removed')).status).toBe(200);
    expect(await channel.closed).toEqual({
      code: CLOSE.removed,
      reason: 'site removed was removed from the hub',
    });
    expect((await (await site.prove()).closed).code).toBe(CLOSE.removed);
    expect((await hub.sites()).map(({ id }) => id)).not.toContain('removed');
  });

  it(`survives ${CASES_TRIED} sealed reports of any content`, async () => {
    const site = await HandSite.join(hub, 'fuzzed');
    const channel = await site.open();
    await fc.assert(
      fc.asyncProperty(anyReport(site), (content) => site.send(channel, [site.seal(content)])),
      { numRuns: CASES_TRIED, seed },
    );
    channel.socket.terminate();
    await expectServing(hub, 'after-reports');
  });

  it(`survives ${CASES_TRIED} frames of any bytes`, async () => {
    const site = await HandSite.join(hub, 'fuzzed-frames');
    const sealed = site.seal(site.report(1));
    const valid = encodeReportFrame({ frame: 1, lane: 'live', reports: [sealed, sealed] });
    let channel = await site.open();
    await fc.assert(
      fc.asyncProperty(anyFrame(valid), async (frame) => {
        channel.socket.send(frame);
        channel.socket.send(JSON.stringify({ type: 'ping', sentAtMs: 1 }));
        const isOpen = await Promise.race([
          channel.closed.then(() => false),
          channel.inbox.next(({ type }) => type === 'pong').then(() => true),
        ]);
        if (!isOpen) channel = await site.open();
      }),
      { numRuns: CASES_TRIED, seed },
    );
    channel.socket.terminate();
    await expectServing(hub, 'after-frames');
  });

  it('disturbed nobody else by all of this', () => expectUndisturbed(hub, 'neighbour'));
});

/** A good report made now gets through, so that whatever was sent before has been dealt with. */
async function expectServing(hub: Hub, name: string): Promise<void> {
  const site = await HandSite.join(hub, name);
  const channel = await site.open();
  await site.send(channel, [site.seal(site.report(1))]);
  await until(
    'a good report gets through',
    async () => (await newestOf(hub, name)) === 1,
    15_000,
    () => hub.output().slice(-3000),
  );
  channel.socket.terminate();
  const { totals } = await hub.doctor();
  expect(Object.values(totals).every((count) => Number.isSafeInteger(count) && count >= 0)).toBe(true);
  expect(hub.output()).not.toMatch(/"level":[56]0/);
}

const EXTREMES: readonly unknown[] = [
  ...[null, true, '', '\u0000', '\ud800', '\u001b[2J', '__proto__', 'a'.repeat(300), [], {}, [[]]],
  ...[0, -0, -1, 0.5, 1e300, -1e300, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 - 1, 5e-324],
];

/** Bytes, JSON, and reports that are right but for one or two fields somewhere in them. */
function anyReport(site: HandSite): fc.Arbitrary<Uint8Array | string> {
  const paths = pathsOf(site.report(1));
  const original = site.report(1);
  const change = fc.constantFrom(...paths).chain((path) => {
    const alike = EXTREMES.filter((value) => typeof value === typeof at(original, path));
    const other = fc.oneof(fc.constantFrom(...EXTREMES), fc.jsonValue());
    return fc.tuple(
      fc.constant(path),
      alike.length === 0 ? other : fc.oneof(fc.constantFrom(...alike), other),
    );
  });
  const changed = fc.array(change, { minLength: 1, maxLength: 2 });
  const nearly = fc.tuple(fc.integer({ min: 1, max: 50 }), changed).map(([seq, changes]) => {
    const value: unknown = JSON.parse(JSON.stringify(site.report(seq)));
    for (const [path, to] of changes) put(value, path, to);
    return JSON.stringify(value);
  });
  const infinite = fc.constantFrom(...paths).map((path) => {
    const value: unknown = JSON.parse(JSON.stringify(site.report(1)));
    put(value, path, 'HERE');
    return JSON.stringify(value).replace('"HERE"', '1e999');
  });
  const deep = fc.integer({ min: 1, max: 15_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth));
  return fc.oneof(
    { weight: 6, arbitrary: nearly },
    { weight: 1, arbitrary: infinite },
    { weight: 1, arbitrary: deep },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 500 }) },
  );
}

function anyFrame(valid: Buffer): fc.Arbitrary<Buffer> {
  const flipped = fc
    .array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    .map((flips) => {
      const bytes = Buffer.from(valid);
      for (const [at, to] of flips) bytes[at] = to;
      return bytes;
    });
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from([1, 0, 0, 0, 0, 1, ...bytes])),
    fc.nat({ max: valid.length - 1 }).map((length) => valid.subarray(0, length)),
    flipped,
  );
}

type Path = readonly string[];

/** The way to every field and item of a JSON value. */
function pathsOf(value: unknown, to: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [to];
  const below = Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, [...to, name]));
  return to.length === 0 ? below : [to, ...below];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined),
    value,
  );
}

function put(value: unknown, path: Path, to: unknown): void {
  const [name = '', ...rest] = path;
  if (typeof value !== 'object' || value === null) return;
  if (rest.length === 0) Reflect.set(value, name, to);
  else put(Reflect.get(value, name), rest, to);
}
