import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CLOSE, encodeReportFrame, MAX_FRAME_BYTES, WINDOW_FRAMES } from '../../core/channel.ts';
import { LogError } from '../../core/ports/log.ts';
import { until } from '../parts/process.ts';
import { closeOf, type Door, inboxOf, openDoor, prove, refusalOf } from './door.ts';

const bytesOf = (text: string) => Buffer.from(text);

describe('the gateway', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  test('welcomes a site that proves its key, keeps its frames in order, and acknowledges what the log has', async () => {
    const key = await door.joined('orderly');
    const { socket, inbox } = await door.proven('orderly', key);
    for (let frame = 1; frame <= 20; frame++)
      socket.send(
        encodeReportFrame({
          frame,
          lane: frame % 5 === 0 ? 'backfill' : 'live',
          reports: [bytesOf(`report ${frame}`), bytesOf(`report ${frame}b`)],
        }),
      );
    await until('20 acknowledgements', () => inbox.all.filter(({ type }) => type === 'ack').length === 20);
    const acks = inbox.all.flatMap((message) => (message.type === 'ack' ? [message.frame] : []));
    expect(acks).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    const live = (await door.records('reports', 32)).filter(({ key: site }) => site === 'orderly');
    expect(live.map(({ value }) => Buffer.from(value).toString())).toEqual(
      [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19].flatMap((n) => [
        `report ${n}`,
        `report ${n}b`,
      ]),
    );
    const held = (await door.records('backfill', 8)).filter(({ key: site }) => site === 'orderly');
    expect(held.map(({ value }) => Buffer.from(value).toString())).toContain('report 10b');
  });

  test('asks a site that says nothing for 10 s whether it is there, no other, and lets it go when it never answers', async () => {
    const keys = await Promise.all(['talking', 'silent', 'gone'].map((site) => door.joined(site)));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const [talking, silent, gone] = await Promise.all(
        ['talking', 'silent', 'gone'].map((site, i) => door.proven(site, keys[i] ?? Buffer.alloc(0))),
      );
      if (talking === undefined || silent === undefined || gone === undefined) throw new Error('three sites');
      const pinged: unknown[] = [];
      for (const { socket } of [talking, silent, gone]) socket.on('ping', () => pinged.push(socket));
      gone.socket.pong = () => undefined;
      for (let round = 1; round <= 4; round++) {
        const said = talking.inbox.all.length;
        talking.socket.send(JSON.stringify({ type: 'ping', sentAtMs: 1 }));
        await until('the pong', () => talking.inbox.all.length > said);
        vi.advanceTimersByTime(10_000);
        if (round === 2) await until('the pings', () => pinged.length === 2);
      }
      await until('who is gone is let go', () => gone.socket.readyState === gone.socket.CLOSED);
      for (const { socket } of [talking, silent]) expect(socket.readyState).toBe(socket.OPEN);
      expect(pinged).not.toContain(talking.socket);
    } finally {
      vi.useRealTimers();
    }
  });

  test('answers a ping with the hub’s time', async () => {
    const { socket, inbox } = await door.proven('pinging', await door.joined('pinging'));
    socket.send(JSON.stringify({ type: 'ping', sentAtMs: 12.5 }));
    const pong = await inbox.next();
    expect(pong).toMatchObject({ type: 'pong', sentAtMs: 12.5 });
    expect(Math.abs((pong.type === 'pong' ? pong.hubTimeMs : 0) - Date.now())).toBeLessThan(5000);
  });

  test('refuses a wrong proof, a proof of an old nonce and an unknown site, and says so once a minute', async () => {
    const key = await door.joined('guarded');
    const nonces: string[] = [];
    for (const [who, wrongKey, oldNonce] of [
      ['guarded', Buffer.alloc(32, 7), false],
      ['guarded', key, true],
      ['nobody-here', key, false],
    ] as const) {
      const socket = door.channel(who);
      const closed = closeOf(socket);
      const hello = await inboxOf<{ nonce: string }>(socket).next();
      nonces.push(hello.nonce);
      prove(socket, who, wrongKey, oldNonce ? (nonces[0] ?? '') : hello.nonce);
      const { code, reason } = await closed;
      expect(code).toBe(who === 'guarded' ? CLOSE.unauthorized : CLOSE.removed);
      expect(reason).toMatch(/plumbline site (token|add)/);
    }
    expect(new Set(nonces).size).toBe(3);
    const events = await until('the event', async () => {
      const found = (await door.events('channel.refused')).filter(({ site }) => site === 'guarded');
      return found.length > 0 && found;
    });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ severity: 'warning' });
  });

  test('refuses the proof of another site on this site’s channel', async () => {
    const key = await door.joined('one');
    await door.joined('two');
    const socket = door.channel('two');
    const closed = closeOf(socket);
    const hello = await inboxOf<{ nonce: string }>(socket).next();
    prove(socket, 'one', key, hello.nonce);
    expect((await closed).code).toBe(CLOSE.unauthorized);
  });

  test('drops the oldest of an address that opens too many and proves nothing, so that newcomers get in', async () => {
    const key = await door.joined('newcomer');
    const open = async () => {
      const socket = door.channel('newcomer');
      const closed = closeOf(socket);
      await inboxOf(socket).next();
      return { socket, closed };
    };
    // The two oldest one after the other, the rest at once: all within the time that an unproven one has.
    const idle = [await open(), await open()];
    idle.push(...(await Promise.all(Array.from({ length: 255 }, open))));
    expect([CLOSE.overloaded, 1006]).toContain((await idle[0]?.closed)?.code);
    const { socket } = await door.proven('newcomer', key);
    expect(socket.readyState).toBe(socket.OPEN);
    expect([CLOSE.overloaded, 1006]).toContain((await idle[1]?.closed)?.code);
    expect(idle.filter((one) => one.socket.readyState === one.socket.OPEN)).toHaveLength(255);
    for (const one of idle) one.socket.terminate();
  });

  test('takes at most 4 kB from one that has proved nothing', async () => {
    const socket = door.channel('orderly');
    const closed = closeOf(socket);
    await inboxOf(socket).next();
    socket.send(Buffer.alloc(10 * 1024 * 1024));
    expect([CLOSE.tooBig, 1006]).toContain((await closed).code);
    const chatty = door.channel('orderly');
    const chattyClosed = closeOf(chatty);
    await inboxOf(chatty).next();
    chatty.send(Buffer.alloc(100_000));
    expect((await chattyClosed).code).toBe(CLOSE.tooBig);
    const early = door.channel('orderly');
    const earlyClosed = closeOf(early);
    await inboxOf(early).next();
    early.send(encodeReportFrame({ frame: 1, lane: 'live', reports: [bytesOf('too early')] }));
    expect((await earlyClosed).code).toBe(CLOSE.malformed);
    expect(
      (await door.records('reports', 0)).map(({ value }) => Buffer.from(value).toString()),
    ).not.toContain('too early');
  });

  test('closes on a 10 MB frame, with an event that names the site', async () => {
    const { socket } = await door.proven('bulky', await door.joined('bulky'));
    const closed = closeOf(socket);
    socket.send(Buffer.alloc(10 * MAX_FRAME_BYTES));
    expect([CLOSE.tooBig, 1006]).toContain((await closed).code);
    const event = await until('the event', async () =>
      (await door.events('channel.closed')).find(({ site }) => site === 'bulky'),
    );
    expect(event?.id).toContain('too-big');
  });

  test('survives garbage: every frame is acknowledged or closes its own channel with a reason', async () => {
    const key = await door.joined('noisy');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
          fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from([1, 0, 0, 0, 0, 1, ...bytes])),
          fc.string().map((text) => text),
          fc.json().map((text) => text),
        ),
        async (garbage) => {
          const { socket, inbox } = await door.proven('noisy', key);
          const closed = closeOf(socket);
          socket.send(garbage);
          const outcome = await Promise.race([
            closed,
            inbox.next((message) => message.type === 'ack' || message.type === 'pong').then(() => null),
          ]);
          if (outcome !== null) {
            expect(outcome.code).toBe(CLOSE.malformed);
            expect(outcome.reason).not.toBe('');
          }
          socket.terminate();
        },
      ),
      { numRuns: 60 },
    );
    expect((await door.call('GET', '/healthz')).status).toBe(200);
  });

  test('closes the oldest of five channels of one site', async () => {
    const key = await door.joined('many');
    const first = await door.proven('many', key);
    const closed = closeOf(first.socket);
    const others = [];
    for (let i = 0; i < 4; i++) others.push(await door.proven('many', key));
    expect((await closed).code).toBe(CLOSE.replaced);
    expect(others.every(({ socket }) => socket.readyState === socket.OPEN)).toBe(true);
  });

  test('closes the channel of a site that is removed, and of one that is invited anew', async () => {
    const removed = await door.proven('leaving', await door.joined('leaving'));
    const removedClosed = closeOf(removed.socket);
    await door.call('DELETE', '/api/v1/sites/leaving');
    expect((await removedClosed).code).toBe(CLOSE.removed);
    const oldKey = await door.joined('renewed');
    const renewed = await door.proven('renewed', oldKey);
    const renewedClosed = closeOf(renewed.socket);
    await door.call('POST', '/api/v1/sites/renewed/token', { body: {} });
    expect((await renewedClosed).code).toBe(CLOSE.unauthorized);
    const again = door.channel('renewed');
    const againClosed = closeOf(again);
    const hello = await inboxOf<{ nonce: string }>(again).next();
    prove(again, 'renewed', oldKey, hello.nonce);
    expect((await againClosed).code).toBe(CLOSE.unauthorized);
  });

  test('opens no channel at a wrong address or for another protocol', async () => {
    expect(await refusalOf(door.socket('/api/v1/sites/orderly/channel', ['something.v9']))).toMatchObject({
      status: 400,
    });
    expect(await refusalOf(door.socket('/api/v1/sites/orderly/channel', []))).toMatchObject({ status: 400 });
    expect(await refusalOf(door.socket('/api/v1/sites/Not_An_Id/channel', ['plumbline.v1']))).toMatchObject({
      status: 404,
    });
    expect(await refusalOf(door.socket('/api/v1/channel', ['plumbline.v1']))).toMatchObject({
      code: 'not-found',
    });
  });
});

describe('the gateway and a log that stalls', () => {
  let door: Door;
  let release = () => {};
  let stalled: Promise<void> | null = null;
  let fails = false;
  beforeAll(async () => {
    door = await openDoor({
      wrap: (log) => ({
        start: () => log.start(),
        stop: () => log.stop(),
        retain: () => log.retain(),
        subscribe: (options) => log.subscribe(options),
        append: async (topic, records) => {
          if (topic !== 'commands') {
            await stalled;
            if (fails) throw new LogError('unavailable', 'the log is away');
          }
          return log.append(topic, records);
        },
      }),
    });
  });
  afterAll(() => door.close());

  test('stops reading from a site that has a full window, and goes on when the log does', async () => {
    const { socket, inbox } = await door.proven('pushing', await door.joined('pushing'));
    stalled = new Promise((resolve) => {
      release = resolve;
    });
    const report = Buffer.alloc(60_000, 1);
    for (let frame = 1; frame <= 60; frame++)
      socket.send(
        encodeReportFrame({ frame, lane: 'live', reports: Array.from({ length: 15 }, () => report) }),
      );
    await until('frames wait', async () => (await door.figure('plumbline_gateway_in_flight_bytes')) > 0);
    await until('the site is held back', () => socket.bufferedAmount > 10_000_000);
    await settled(() => door.figure('plumbline_gateway_in_flight_bytes'));
    // What ws had read before it was paused is at most one frame more.
    expect(await door.figure('plumbline_gateway_in_flight_bytes')).toBeLessThanOrEqual(
      (WINDOW_FRAMES + 1) * MAX_FRAME_BYTES,
    );
    expect(inbox.all.some(({ type }) => type === 'ack')).toBe(false);
    release();
    stalled = null;
    await until('all are acknowledged', () => inbox.all.filter(({ type }) => type === 'ack').length === 60);
    expect(await door.figure('plumbline_gateway_in_flight_bytes')).toBe(0);
  });

  test('acknowledges nothing that the log did not take, and closes so that the site keeps it', async () => {
    const { socket, inbox } = await door.proven('unlucky', await door.joined('unlucky'));
    const closed = closeOf(socket);
    fails = true;
    socket.send(encodeReportFrame({ frame: 1, lane: 'live', reports: [bytesOf('kept by the site')] }));
    expect((await closed).code).toBe(CLOSE.overloaded);
    expect(inbox.all.some(({ type }) => type === 'ack')).toBe(false);
    fails = false;
  });
});

/** Resolves when a figure has been the same ten times in a row. */
async function settled(figure: () => Promise<number>): Promise<void> {
  let last = Number.NaN;
  let times = 0;
  await until('the figure stays', async () => {
    const now = await figure();
    times = now === last ? times + 1 : 0;
    last = now;
    return times >= 10;
  });
}
