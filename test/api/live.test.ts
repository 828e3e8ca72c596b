import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Directory } from '../../api/directory.ts';
import { Audience } from '../../api/live/audience.ts';
import { readFilter } from '../../api/live/filter.ts';
import { Fleet, type FleetChange } from '../../api/live/fleet.ts';
import { BEHIND_BYTES, Viewer } from '../../api/live/viewer.ts';
import { LiveMessage, type SiteView } from '../../core/model/view.ts';
import { until } from '../parts/process.ts';
import { siteState } from '../policy/control-parts.ts';
import { ADMIN_TOKEN, closeOf, type Door, fieldOf, type Inbox, openDoor, quiet, refusalOf } from './door.ts';

const shape = Compile(LiveMessage);

type LiveRollouts = Extract<LiveMessage, { type: 'snapshot' }>['rollouts'];

/** The fleet as a client that follows the versions holds it; throws when a version was missed. */
class Follower {
  readonly sites = new Map<string, SiteView>();
  version = 0;
  virtualSites: string[] = [];
  members = 0;
  rollouts: LiveRollouts = [];
  blind: unknown = null;
  caughtUp = true;
  take(message: LiveMessage): void {
    if (!shape.Check(message)) throw new Error(`not a message: ${JSON.stringify(shape.Errors(message)[0])}`);
    if (message.type === 'error') throw new Error(message.detail);
    const from = message.type === 'delta' ? message.from : message.version;
    if (message.type !== 'snapshot' && from !== this.version)
      throw new Error(`${message.type} from ${from} after ${this.version}`);
    this.version = message.version;
    this.caughtUp = message.hub.caughtUp;
    if (message.type === 'pulse') return;
    if (message.type === 'snapshot') this.sites.clear();
    for (const site of message.type === 'snapshot' ? message.sites : message.upsert)
      this.sites.set(site.id, site);
    if (message.type === 'delta') for (const id of message.remove) this.sites.delete(id);
    this.virtualSites = message.virtualSites.map(({ name }) => name);
    this.rollouts = message.rollouts;
    this.members = message.rollup.members;
  }
  /** Reads on until what it holds is as wanted. */
  async until(inbox: Inbox<LiveMessage>, holds: (follower: Follower) => boolean): Promise<void> {
    while (!holds(this)) this.take(await inbox.next());
  }
}

const subscribe = (filter?: object) => JSON.stringify({ type: 'subscribe', ...(filter && { filter }) });
const virtualSite = (name: string, selector: string) => ({
  body: { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata: { name }, spec: { selector } },
});

describe('the live view', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
    for (const [name, env] of [
      ['a-1', 'prod'],
      ['a-2', 'test'],
    ])
      await door.call('POST', '/api/v1/sites', { body: { name, labels: { env } } });
    await door.call('PUT', '/api/v1/policies/VirtualSite/prod', virtualSite('prod', 'env in (prod)'));
  });
  afterAll(() => door.close());

  test('a rollout comes into the view when it begins, and whenever it changes', async () => {
    const { socket, inbox } = door.live();
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(subscribe());
    const follower = new Follower();
    await follower.until(inbox, ({ version }) => version > 0);
    expect(follower.rollouts).toEqual([]);
    await door.call('PUT', '/api/v1/policies/Allowlist/payments', {
      body: {
        apiVersion: 'plumbline.io/v1',
        kind: 'Allowlist',
        metadata: { name: 'payments' },
        spec: { workloads: {}, egress: [] },
        rollout: { stages: [{ virtualSite: 'prod' }] },
      },
    });
    await follower.until(inbox, ({ rollouts }) => rollouts[0]?.phase === 'progressing');
    expect(follower.rollouts).toMatchObject([
      { name: 'payments', generation: 1, stage: 0, stages: [{ virtualSite: 'prod' }] },
    ]);
    await door.call('POST', '/api/v1/rollouts/Allowlist/payments/pause');
    await follower.until(inbox, ({ rollouts }) => rollouts[0]?.phase === 'paused');
    await door.call('DELETE', '/api/v1/policies/Allowlist/payments');
    await follower.until(inbox, ({ rollouts }) => rollouts.length === 0);
    socket.close();
  });

  test('begins with a snapshot and follows with deltas whose versions leave nothing out', async () => {
    const { socket, inbox } = door.live();
    socket.once('open', () => socket.send(subscribe()));
    const follower = new Follower();
    await follower.until(inbox, ({ sites }) => sites.size === 2);
    expect(follower.sites.get('a-1')).toMatchObject({ state: 'unknown', virtualSites: ['prod'] });
    await door.say(
      siteState('a-1', door.clock.nowMs(), {
        discovered: { 'os.type': 'linux' },
        penalties: [
          {
            component: 'connectivity',
            id: 'link-loss',
            subject: 'api',
            points: 10,
            observed: '31% of requests lost',
            sinceMs: 1,
          },
        ],
      }),
    );
    await follower.until(inbox, ({ sites }) => sites.get('a-1')?.state === 'green');
    expect(follower.sites.get('a-1')).toMatchObject({
      score: 100,
      cpu: 0.1,
      freshness: 'heard',
      reason: 'api: 31% of requests lost',
      labels: { env: 'prod', 'discovered/os.type': 'linux' },
    });
    await door.call('POST', '/api/v1/sites', { body: { name: 'a-3' } });
    await follower.until(inbox, ({ sites }) => sites.has('a-3'));
    await door.call('DELETE', '/api/v1/sites/a-3');
    await follower.until(inbox, ({ sites }) => !sites.has('a-3'));
    await door.call(
      'PUT',
      '/api/v1/policies/VirtualSite/linux',
      virtualSite('linux', 'discovered/os.type=linux'),
    );
    await follower.until(inbox, ({ virtualSites }) => virtualSites.includes('linux'));
    expect(follower.sites.get('a-1')?.virtualSites).toEqual(['linux', 'prod']);
    await door.call('DELETE', '/api/v1/policies/VirtualSite/linux');
    await follower.until(inbox, ({ virtualSites }) => !virtualSites.includes('linux'));
    expect(follower.members).toBe(2);
  });

  test('shows silence when the time has come, and blames nobody while the hub did not listen', async () => {
    await door.say(siteState('a-1', door.clock.nowMs()));
    const { socket, inbox } = door.live();
    socket.once('open', () => socket.send(subscribe()));
    const follower = new Follower();
    await follower.until(inbox, ({ sites }) => sites.get('a-1')?.state === 'green');
    door.hearing.caughtUp = false;
    door.clock.advance(60_000);
    await follower.until(inbox, ({ sites }) => sites.get('a-1')?.freshness === 'unheard');
    expect(follower.sites.get('a-1')).toMatchObject({ state: 'unknown', score: null, cpu: null });
    expect(follower.caughtUp).toBe(false);
    door.hearing.caughtUp = true;
    await follower.until(inbox, ({ sites }) => sites.get('a-1')?.freshness === 'silent');
    expect(follower.sites.get('a-1')?.reason).toMatch(/^silent since 20/);
    // Nobody has joined it yet: awaited, and nobody's fault.
    expect(follower.sites.get('a-2')).toMatchObject({ freshness: 'unheard', reason: 'has not joined yet' });
  });

  test('sends a viewer only what its filter selects, through labels that change', async () => {
    const { socket, inbox } = door.live();
    socket.once('open', () => socket.send(subscribe({ virtualSite: 'prod', selector: 'env' })));
    const follower = new Follower();
    await follower.until(inbox, ({ sites }) => sites.size === 1);
    await door.call('PATCH', '/api/v1/sites/a-2', { body: { labels: { env: 'prod' } } });
    await follower.until(inbox, ({ sites }) => sites.has('a-2'));
    expect(follower.members).toBe(2);
    await door.call('PATCH', '/api/v1/sites/a-2', { body: { labels: { env: 'test' } } });
    await follower.until(inbox, ({ sites }) => !sites.has('a-2'));
    socket.send(subscribe({ selector: 'env in (test)' }));
    await follower.until(inbox, ({ sites }) => sites.has('a-2') && !sites.has('a-1'));
  });

  test('says at least every 5 s that it is there', async () => {
    const { socket, inbox } = door.live();
    socket.once('open', () => socket.send(subscribe({ virtualSite: 'nobody-is-in-it' })));
    await inbox.next(({ type }) => type === 'snapshot');
    door.clock.advance(6_000);
    const pulse = await inbox.next(({ type }) => type === 'pulse');
    expect(shape.Check(pulse)).toBe(true);
  });

  test('tells what is wrong with a subscription and stays open', async () => {
    const { socket, inbox } = door.live();
    socket.once('open', () => {
      socket.send('{"type":');
      socket.send(subscribe({ selector: 'env in' }));
      socket.send(Buffer.from([1, 2, 3]));
      socket.send(JSON.stringify({ type: 'subscribe', filter: { virtualsite: 'x' } }));
      socket.send(subscribe());
    });
    const codes = [];
    for (let i = 0; i < 5; i++) {
      const message = await inbox.next();
      codes.push(message.type === 'error' ? message.code : message.type);
    }
    expect(codes).toEqual(['bad-request', 'invalid-selector', 'bad-request', 'bad-request', 'snapshot']);
  });

  test('ends with the token or the session that it was opened with', async () => {
    const made = await door.call('POST', '/api/v1/tokens', { body: { name: 'passing', role: 'viewer' } });
    const withToken = door.live({ authorization: `Bearer ${fieldOf(made.body, 'token')}` });
    const signedIn = await door.call('POST', '/api/v1/session', {
      token: null,
      body: { token: ADMIN_TOKEN },
    });
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const withCookie = door.live({ cookie, origin: door.url });
    const closed = [closeOf(withToken.socket), closeOf(withCookie.socket)];
    for (const { socket, inbox } of [withToken, withCookie]) {
      socket.once('open', () => socket.send(subscribe()));
      await inbox.next(({ type }) => type === 'snapshot');
    }
    await door.call('DELETE', '/api/v1/tokens/passing');
    await door.call('DELETE', '/api/v1/session', { token: null, headers: { cookie, origin: door.url } });
    for (const one of closed) expect((await one).code).toBe(4401);
  });

  test('gives a viewer one snapshot a second, of the filter it asked for last', async () => {
    const { socket, inbox } = door.live();
    const startedAt = performance.now();
    socket.once('open', () => {
      for (let i = 0; i < 50; i++) socket.send(subscribe({ selector: `env=none-${i}` }));
      socket.send(subscribe({ selector: 'env in (test)' }));
    });
    const follower = new Follower();
    await follower.until(inbox, ({ sites }) => sites.has('a-2'));
    const snapshots = inbox.all.filter(({ type }) => type === 'snapshot').length;
    expect(snapshots).toBeGreaterThanOrEqual(2);
    expect(snapshots).toBeLessThanOrEqual(2 + (performance.now() - startedAt) / 1000);
  });

  test('is for those who signed in, on the hub’s own page', async () => {
    expect(await refusalOf(door.live({}).socket)).toMatchObject({ status: 401 });
    expect(await refusalOf(door.live({ authorization: 'Bearer wrong' }).socket)).toMatchObject({
      status: 401,
    });
    const signedIn = await door.call('POST', '/api/v1/session', {
      token: null,
      body: { token: ADMIN_TOKEN },
    });
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect(await refusalOf(door.live({ cookie, origin: 'http://127.0.0.1:9' }).socket)).toMatchObject({
      status: 403,
      code: 'bad-origin',
    });
    expect(await refusalOf(door.live({ cookie }).socket)).toMatchObject({ code: 'bad-origin' });
    const { socket, inbox } = door.live({ cookie, origin: door.url });
    socket.once('open', () => socket.send(subscribe()));
    expect((await inbox.next()).type).toBe('snapshot');
  });
});

describe('the live view and a slow viewer', () => {
  let door: Door;
  const sites = 3000;
  const states = (nowMs: number, cpu: number) =>
    Array.from({ length: sites }, (_, i) => siteState(`s-${i}`, nowMs, { cpu }));
  beforeAll(async () => {
    door = await openDoor({ withControl: false });
    const owner = await door.table.claim('control');
    const metadata = { uid: 'u', createdAtMs: 1, updatedAtMs: 1, revision: 1, updatedBy: 'test' };
    await owner.write(
      'resources',
      Array.from({ length: sites }, (_, i) => ({
        key: `Site/s-${i}`,
        value: Buffer.from(
          JSON.stringify({
            apiVersion: 'plumbline.io/v1',
            kind: 'Site',
            metadata: { name: `s-${i}`, ...metadata },
            spec: { labels: { region: `r${i % 10}` }, labelsSinceMs: 1, keyEpoch: 1 },
          }),
        ),
      })),
    );
    await door.say(...Array.from({ length: sites }, (_, i) => siteState(`s-${i}`, door.clock.nowMs())));
  });
  afterAll(() => door.close());

  test('one that was behind gets a single delta of all it missed', async () => {
    const resources = await door.table.view('resources');
    const views = await door.table.view('state');
    const directory = new Directory(resources, quiet);
    const fleet = new Fleet({
      directory,
      states: views,
      clock: door.clock,
      hearing: () => door.hearing,
      logger: quiet,
    });
    fleet.refresh();
    const sent: string[] = [];
    const socket = {
      bufferedAmount: 0,
      send: (text: unknown) => void sent.push(String(text)),
      close: () => {},
    };
    const read = readFilter({ selector: 'region in (r1,r2)' });
    if (!read.ok) throw new Error(read.detail);
    const audience = new Audience(read.filter, fleet);
    const viewer = new Viewer(socket);
    const hub = { version: '0.1.0', nowMs: 0, caughtUp: true, blind: null, troubles: [] };
    const follower = new Follower();
    viewer.join(audience, hub);
    const changes: FleetChange[] = [];
    const stop = fleet.onChange((change) => void changes.push(change));
    for (let round = 1; round <= 5; round++) {
      socket.bufferedAmount = round < 5 ? BEHIND_BYTES + 1 : 0;
      await door.say(
        siteState('s-1', door.clock.nowMs(), { cpu: round / 10 }),
        siteState('s-2', door.clock.nowMs()),
      );
      await until('the change', () => {
        fleet.refresh();
        return fleet.get('s-1')?.state?.cpu === round / 10;
      });
      for (const { changed, removed } of changes.splice(0)) {
        const step = audience.step(changed, removed, false);
        if (step !== null)
          viewer.offer(step, audience.delta(step.version - 1, step.changed, step.removed, hub), hub);
      }
      expect(viewer.tend(hub)).toBe(true);
    }
    stop();
    fleet.close();
    directory.close();
    await resources.close();
    await views.close();
    for (const text of sent) follower.take(JSON.parse(text));
    expect(sent).toHaveLength(2);
    expect(follower.version).toBe(audience.version);
    expect(follower.sites.get('s-1')?.cpu).toBe(0.5);
    expect(follower.sites.size).toBe(600);
  });

  test('lets a viewer go that does not read, with a code that says so', async () => {
    const { socket, inbox } = door.live();
    socket.once('open', () => socket.send(subscribe()));
    await inbox.next();
    socket.pause();
    const closed = closeOf(socket);
    let round = 0;
    await until('it is let go', async () => {
      door.clock.advance(4_000);
      round++;
      await door.say(...states(door.clock.nowMs(), (round % 90) / 100));
      return (await door.figure('plumbline_live_slow_total')) === 1;
    });
    expect(await door.figure('plumbline_live_viewers')).toBe(0);
    socket.resume();
    expect(await closed).toEqual({ code: 4408, reason: 'slow' });
  });
});
