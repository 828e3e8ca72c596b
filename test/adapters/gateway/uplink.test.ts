import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGatewayUplink, type GatewayUplinkOptions } from '../../../adapters/gateway/uplink.ts';
import { ensureAuthority } from '../../../adapters/tls/authority.ts';
import { CLOSE } from '../../../core/channel.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import type { Uplink } from '../../../core/ports/uplink.ts';
import { type HubSide, startHubSide } from './hub-side.ts';

const key = randomBytes(32);
const site = 'jp-tokyo-1';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
/** Quick to come back, but slow to call a hub dead: a busy machine makes it wait for no fault of its own. */
const FAST = { backoffMinMs: 10, backoffMaxMs: 40, pingMs: 20, deadMs: 60_000, ackMs: 60_000 };
let hub: HubSide;
let uplinks: Uplink[];

beforeEach(async () => {
  uplinks = [];
  hub = await startHubSide({ key, site });
});
afterEach(async () => {
  for (const uplink of uplinks) await uplink.stop();
  await hub.stop();
});

function connect(options: Partial<GatewayUplinkOptions> = {}): Uplink {
  const uplink = createGatewayUplink({
    url: hub.url,
    site,
    key,
    ca: null,
    instance: 'instance-1',
    clock: systemClock,
    logger: quiet,
    timing: FAST,
    ...options,
  });
  uplinks.push(uplink);
  void uplink.start();
  return uplink;
}

const isReady = (uplink: Uplink) => expect.poll(() => uplink.ready, { interval: 2 }).toBe(true);
const trouble = (uplink: Uplink) => expect.poll(() => uplink.trouble(), { interval: 2 });
const bytes = (text: string) => Buffer.from(text);

describe('the uplink', () => {
  it('proves who it is, and says ok only once the hub acknowledged', async () => {
    hub.behaviour.acknowledge = false;
    const uplink = connect();
    await isReady(uplink);
    expect(uplink.trouble()).toBe(null);
    expect(uplink.backfillPerS()).toBe(1000);
    let outcome: unknown = 'none yet';
    const sent = uplink.send('live', [bytes('one'), bytes('two')]).then((result) => {
      outcome = result;
    });
    await expect.poll(() => hub.frames.length).toBe(1);
    expect(hub.frames[0]).toMatchObject({ lane: 'live', reports: [bytes('one'), bytes('two')] });
    expect(outcome).toBe('none yet');
    hub.acknowledgeAll();
    await sent;
    expect(outcome).toEqual({ ok: true });
    expect(hub.instances).toEqual(['instance-1']);
  });

  it('has no more frames under way than the hub allows, and keeps their order', async () => {
    hub.behaviour.acknowledge = false;
    hub.behaviour.windowFrames = 2;
    const uplink = connect();
    await isReady(uplink);
    const sent = Array.from({ length: 6 }, (_, index) => uplink.send('backfill', [bytes(`${index}`)]));
    for (let acknowledged = 0; acknowledged < 6; acknowledged += 2) {
      await expect.poll(() => hub.frames.length).toBe(acknowledged + 2);
      hub.acknowledgeAll();
    }
    expect(await Promise.all(sent)).toEqual(Array(6).fill({ ok: true }));
    expect(hub.frames.map(({ reports }) => `${reports[0]}`)).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('says away at once past its bound of waiting frames', async () => {
    hub.behaviour.acknowledge = false;
    const uplink = connect();
    await isReady(uplink);
    const sent = Array.from({ length: 100 }, () => uplink.send('live', [bytes('x')]));
    expect(await sent.at(-1)).toEqual({ ok: false, code: 'away' });
    await expect.poll(() => hub.frames.length).toBe(8);
  });

  it('answers away for what was under way when the connection breaks, and comes back', async () => {
    hub.behaviour.acknowledge = false;
    const uplink = connect();
    let readies = 0;
    uplink.onReady(() => {
      readies += 1;
    });
    await isReady(uplink);
    const sent = uplink.send('live', [bytes('x')]);
    await expect.poll(() => hub.frames.length).toBe(1);
    hub.cut();
    expect(await sent).toEqual({ ok: false, code: 'away' });
    await expect.poll(() => readies).toBe(2);
    hub.behaviour.acknowledge = true;
    expect(await uplink.send('live', [bytes('x')])).toEqual({ ok: true });
  });

  it('lets go of a hub that says nothing any more', async () => {
    const uplink = connect({ timing: { ...FAST, deadMs: 300 } });
    await isReady(uplink);
    hub.behaviour.answerPings = false;
    await trouble(uplink).toContain('silent');
    hub.behaviour.answerPings = true;
    await isReady(uplink);
    expect(hub.connects).toBeGreaterThan(1);
  });

  it('lets go of a hub that answers but stores nothing', async () => {
    hub.behaviour.acknowledge = false;
    const uplink = connect({ timing: { ...FAST, ackMs: 150 } });
    await isReady(uplink);
    expect(await uplink.send('live', [bytes('x')])).toEqual({ ok: false, code: 'away' });
    await expect.poll(() => hub.connects).toBeGreaterThan(1);
  });

  it('measures the clock of the hub to a few milliseconds, whatever this clock does', async () => {
    hub.behaviour.aheadMs = 864_000_000;
    let stepMs = 0;
    const uplink = connect({
      clock: { nowMs: () => Date.now() + stepMs, monoMs: () => performance.now() },
    });
    expect(uplink.offsetMs()).toBe(null);
    await isReady(uplink);
    const error = () => Math.abs(Date.now() + 864_000_000 - (Date.now() + stepMs + (uplink.offsetMs() ?? 0)));
    // It is as good as the quickest of its measurements, and there is one every 20 ms.
    const worstOverAStep = () => {
      stepMs = 0;
      const before = error();
      stepMs = -3_600_000;
      return Math.max(before, error());
    };
    await expect.poll(worstOverAStep, { interval: 20 }).toBeLessThan(50);
  });

  it('says in words, with the remedy, why it is not connected', async () => {
    const stranger = connect({ key: randomBytes(32) });
    await trouble(stranger).toMatch(/does not accept the key of site jp-tokyo-1.*plumbline site token/);
    await stranger.stop();
    hub.behaviour.refuse = CLOSE.removed;
    await trouble(connect()).toMatch(/was removed at the hub.*plumbline site add jp-tokyo-1/);
    hub.behaviour.refuse = CLOSE.replaced;
    await trouble(connect()).toMatch(/another collector connected/);
    const gone = await startHubSide({ key, site });
    await gone.stop();
    await trouble(connect({ url: gone.url })).toMatch(/nothing listens there/);
  });

  it('waits long between tries when only a person can help, not when the hub restarts', async () => {
    const timing = { ...FAST, backoffMaxMs: 60_000 };
    const random = () => 0;
    hub.behaviour.refuse = CLOSE.removed;
    const removed = connect({ timing, random });
    await trouble(removed).toContain('removed');
    hub.behaviour.refuse = CLOSE.goingAway;
    connect({ timing, random, instance: 'instance-2' });
    await expect.poll(() => hub.instances.filter((each) => each === 'instance-2').length).toBeGreaterThan(1);
    expect(hub.instances.filter((each) => each === 'instance-1')).toHaveLength(1);
  });

  it('gives up a hub that does not speak the protocol', async () => {
    const uplink = connect();
    await isReady(uplink);
    hub.say('{"type":"surprise"}');
    await trouble(uplink).toContain('does not speak plumbline.v1');
  });

  it('trusts the authority it joined, under any name, and no other', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'plumbline-uplink-'));
    try {
      const ours = await ensureAuthority({ dir: join(dir, 'ours'), hosts: ['hub.example'] });
      const other = await ensureAuthority({ dir: join(dir, 'other'), hosts: ['127.0.0.1'] });
      const secure = await startHubSide({ key, site, tls: ours });
      try {
        await isReady(connect({ url: secure.url, ca: ours.ca }));
        await trouble(connect({ url: secure.url, ca: other.ca })).toMatch(/another authority.*site token/);
      } finally {
        await secure.stop();
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
