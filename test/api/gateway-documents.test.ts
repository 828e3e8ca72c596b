import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { EchoBudget } from '../../api/gateway/echo-budget.ts';
import { CLOSE, type HubMessage, MAX_FRAME_BYTES } from '../../core/channel.ts';
import { compareVersions, type Envelope, type SignedBody, type Version } from '../../core/model/signed.ts';
import { desiredState } from '../../core/policy/desired-state.ts';
import { openEnvelope } from '../../core/policy/sign.ts';
import { echoProof, keyFrom } from '../../core/seal.ts';
import { until } from '../parts/process.ts';
import { siteState } from '../policy/control-parts.ts';
import { closeOf, type Door, type Inbox, openDoor } from './door.ts';

type Channel = { socket: WebSocket; inbox: Inbox<HubMessage> };

/** A site that takes documents as a site's agent does: it believes a signature, by keys that it trusts, and nothing else. */
class Hand {
  readonly site: string;
  readonly bodies = new Map<string, SignedBody>();
  readonly order: string[] = [];
  wholes = 0;
  /** Bytes of the longest frame that came. */
  longest = 0;
  #keys: { id: string; publicKey: string }[] = [];
  #read = 0;
  #channel: Channel | null = null;

  constructor(site: string) {
    this.site = site;
  }

  async connect(door: Door, key: Buffer): Promise<void> {
    this.#channel = await door.proven(this.site, key);
    this.#read = 0;
    this.#channel.socket.on('message', (data) => {
      this.longest = Math.max(this.longest, data.toString().length);
    });
    const targets: { key: string; version: Version }[] = [];
    const specs: string[] = [];
    for (const [name, body] of this.bodies)
      if (body.type === 'spec') specs.push(name);
      else targets.push({ key: name, version: body.version });
    this.#channel.socket.send(JSON.stringify({ type: 'have', targets, specs }));
  }

  leave(): void {
    this.#channel?.socket.terminate();
  }

  /** How many documents came over this channel. */
  take(): number {
    let came = 0;
    for (const message of this.#channel?.inbox.all.slice(this.#read) ?? []) {
      this.#read++;
      if (message.type !== 'documents') continue;
      for (const envelope of message.envelopes) this.#open(envelope);
      came += message.envelopes.length;
      if (message.whole) this.wholes++;
    }
    return came;
  }

  #open(envelope: Envelope): void {
    const claimed: SignedBody = JSON.parse(envelope.payload);
    if (claimed.type === 'keys' && this.#keys.length === 0) this.#keys = claimed.keys;
    const opened = openEnvelope(envelope, this.#keys);
    if (!opened.ok) throw new Error(`${this.site}: ${opened.code}`);
    const { body } = opened;
    if (body.type === 'keys') this.#keys = body.keys;
    const key = keyOf(body);
    const before = this.bodies.get(key);
    if (body.type !== 'spec' && before !== undefined && before.type !== 'spec')
      expect(compareVersions(body.version, before.version)).toBeGreaterThanOrEqual(0);
    this.bodies.set(key, body);
    this.order.push(key);
  }

  /** What it would run of a policy: the generation, and whether it has its content. */
  runs(policy: string): { generation: number; hasSpec: boolean } | null {
    this.take();
    const target = this.bodies.get(`default/Allowlist/${policy}`);
    const own = this.bodies.get(`default/Site/${this.site}`);
    if (target?.type !== 'target' || own?.type !== 'site') return null;
    const { assigned } = desiredState({ id: this.site, labels: own.labels }, target);
    if (assigned === null) return null;
    const { generation } = assigned;
    return { generation, hasSpec: this.bodies.has(`default/Allowlist/${policy}/${generation}`) };
  }
}

function keyOf(body: SignedBody): string {
  if (body.type === 'keys') return 'default/Keys';
  if (body.type === 'site') return `default/Site/${body.site}`;
  return `default/${body.kind}/${body.name}${body.type === 'spec' ? `/${body.generation}` : ''}`;
}

const allowlist = (name: string, hosts: string[], stages = ['test', 'prod']) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'Allowlist',
  metadata: { name },
  spec: { workloads: {}, egress: hosts.map((host, i) => ({ name: `rule-${i}`, to: [`https://${host}`] })) },
  rollout: { stages: stages.map((virtualSite) => ({ virtualSite })) },
});

async function applied(door: Door, document: ReturnType<typeof allowlist>): Promise<void> {
  const { status, text } = await door.call('PUT', `/api/v1/policies/Allowlist/${document.metadata.name}`, {
    body: document,
  });
  if (status >= 300) throw new Error(text.slice(0, 300));
}

async function withVirtualSites(door: Door): Promise<void> {
  for (const name of ['test', 'prod', 'solo']) {
    const spec = { selector: `env=${name}` };
    const body = { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata: { name }, spec };
    await door.call('PUT', `/api/v1/policies/VirtualSite/${name}`, { body });
  }
}

describe('documents', () => {
  let door: Door;
  const keys: Record<string, Buffer> = {};
  const sites: Record<string, Hand> = {};
  const hand = (site: string) => sites[site] ?? new Hand(site);
  beforeAll(async () => {
    door = await openDoor();
    await withVirtualSites(door);
    for (const [site, env] of [
      ['test-1', 'test'],
      ['prod-1', 'prod'],
      ['else-1', 'else'],
    ] as const) {
      keys[site] = await door.joined(site, { env });
      sites[site] = new Hand(site);
      await hand(site).connect(door, keys[site]);
    }
  });
  afterAll(() => door.close());

  test('come whole once a site says what it has: the keys and its labels, also where there is no policy', async () => {
    for (const site of Object.keys(sites)) {
      await until('the first documents', () => hand(site).take() >= 0 && hand(site).wholes > 0);
      await until(
        'its labels',
        () => hand(site).take() >= 0 && hand(site).bodies.has(`default/Site/${site}`),
      );
      expect(hand(site).order[0]).toBe('default/Keys');
    }
  });

  test('of a policy reach the sites that its virtual sites select, its content before its target, and no other', async () => {
    await applied(door, allowlist('payments', ['api.example']));
    await until('the target at test', () => hand('test-1').runs('payments') !== null);
    expect(hand('test-1').runs('payments')).toEqual({ generation: 1, hasSpec: true });
    const { order } = hand('test-1');
    expect(order.indexOf('default/Allowlist/payments/1')).toBeLessThan(
      order.indexOf('default/Allowlist/payments'),
    );
    await until(
      'the target at prod',
      () => hand('prod-1').take() >= 0 && hand('prod-1').bodies.has('default/Allowlist/payments'),
    );
    expect(hand('prod-1').runs('payments')).toBeNull();
    expect(hand('prod-1').bodies.has('default/Allowlist/payments/1')).toBe(false);
    hand('else-1').take();
    expect([...hand('else-1').bodies.keys()].filter((key) => key.includes('payments'))).toEqual([]);
  });

  test('that a site has are not sent again, but for targets, which are no orphans then; what changed while it was away is', async () => {
    hand('test-1').leave();
    const { wholes } = hand('test-1');
    await hand('test-1').connect(door, keys['test-1'] ?? Buffer.alloc(0));
    let came = 0;
    await until('to be told that it has all', () => {
      came += hand('test-1').take();
      return hand('test-1').wholes > wholes;
    });
    expect(came).toBe(1);
    expect(hand('test-1').order.at(-1)).toBe('default/Allowlist/payments');
    hand('test-1').leave();
    await applied(door, allowlist('payments', ['api.example', 'more.example']));
    await hand('test-1').connect(door, keys['test-1'] ?? Buffer.alloc(0));
    await until('the new generation', () => hand('test-1').runs('payments')?.generation === 2);
    expect(hand('test-1').runs('payments')?.hasSpec).toBe(true);
  });

  test('follow a site’s labels as the hub gives them; what it says of itself changes nothing', async () => {
    await door.say({
      ...siteState('else-1', Date.now()),
      proposed: { env: 'test' },
      discovered: { env: 'test' },
    });
    await applied(door, allowlist('ledger', ['ledger.example'], ['solo']));
    expect(hand('else-1').runs('payments')).toBeNull();
    await door.call('PATCH', '/api/v1/sites/else-1', { body: { labels: { env: 'test' } } });
    await until(
      'the policy of its new virtual site',
      () => hand('else-1').runs('payments')?.hasSpec === true,
    );
    await door.call('PATCH', '/api/v1/sites/else-1', { body: { labels: { env: 'nothing' } } });
    await until('to withdraw it', () => hand('else-1').runs('payments') === null);
    expect(hand('else-1').bodies.has('default/Allowlist/payments')).toBe(true);
  });

  test('say that a deleted policy is absent to the sites that have it', async () => {
    await door.call('DELETE', '/api/v1/policies/Allowlist/payments');
    await until('the absent target', () => {
      hand('test-1').take();
      const target = hand('test-1').bodies.get('default/Allowlist/payments');
      return target?.type === 'target' && target.absent;
    });
  });

  test('by a new key are believed by a site that was there, and by one that missed two rotations', async () => {
    hand('prod-1').leave();
    for (let i = 0; i < 2; i++) expect((await door.call('POST', '/api/v1/keys/rotate')).status).toBe(200);
    const newest = () => {
      hand('test-1').take();
      const body = hand('test-1').bodies.get('default/Keys');
      return body?.type === 'keys' && body.version.n === 3;
    };
    await until('the newest keys', newest);
    await applied(door, allowlist('payments', ['again.example']));
    await until('the policy by the new key', () => hand('test-1').runs('payments')?.generation === 3);
    await hand('prod-1').connect(door, keys['prod-1'] ?? Buffer.alloc(0));
    await until('the keys, one after the other', () => {
      hand('prod-1').take();
      const body = hand('prod-1').bodies.get('default/Keys');
      return body?.type === 'keys' && body.version.n === 3;
    });
  });

  test('that are many come in frames of which each can be taken', async () => {
    const hosts = Array.from({ length: 190 }, (_, i) => `${'a'.repeat(50)}-${i}.${'b'.repeat(60)}.example`);
    const big = (name: string) => {
      const document = allowlist(name, [], ['solo']);
      const to = (i: number) => Array.from({ length: 8 }, (_, j) => `https://${j}.${hosts[i]}`);
      const egress = hosts.map((_, i) => ({ name: `rule-${i}`, to: to(i) }));
      return { ...document, spec: { workloads: {}, egress } };
    };
    for (let i = 0; i < 6; i++) {
      const metadata = { name: `big-${i}` };
      const spec = { selector: `!none-${i},size=big` };
      const body = { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata, spec };
      await door.call('PUT', `/api/v1/policies/VirtualSite/big-${i}`, { body });
      await applied(door, { ...big(`big-${i}`), rollout: { stages: [{ virtualSite: `big-${i}` }] } });
    }
    const key = await door.joined('big-site', { size: 'big' });
    const site = new Hand('big-site');
    await site.connect(door, key);
    await until('all of them', () =>
      Array.from({ length: 6 }, (_, i) => site.runs(`big-${i}`)).every((one) => one?.hasSpec),
    );
    expect(site.wholes).toBeGreaterThan(0);
    expect(site.longest).toBeLessThanOrEqual(MAX_FRAME_BYTES);
  });

  test('are asked for by nobody who has proved nothing, and in no more than 64 kB', async () => {
    const unproven = door.channel('test-1');
    const refused = closeOf(unproven);
    unproven.once('open', () => unproven.send(JSON.stringify({ type: 'have', targets: [], specs: [] })));
    expect((await refused).code).toBe(CLOSE.malformed);
    const { socket } = await door.proven('test-1', keys['test-1'] ?? Buffer.alloc(0));
    const closed = closeOf(socket);
    socket.send(JSON.stringify({ type: 'have', targets: [], specs: [], more: 'x'.repeat(70_000) }));
    expect((await closed).code).toBe(CLOSE.malformed);
  });
});

describe('the echo', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());
  const nonce = 'a-nonce-of-its-own-0123';
  const ask = (site: string, body: unknown = { nonce }) =>
    door.call('POST', `/api/v1/sites/${site}/echo`, { token: null, body });

  test('proves to a site that the hub has its key, and tells others nothing, not even whether there is such a site', async () => {
    const key = await door.joined('here');
    const known = await ask('here');
    expect(known.body).toEqual({ proof: echoProof(keyFrom(key), 'here', nonce) });
    const unknown = await ask('nobody-here');
    expect(unknown.status).toBe(known.status);
    expect([...unknown.headers.keys()]).toEqual([...known.headers.keys()]);
    expect(unknown.text.length).toBe(known.text.length);
    expect((await ask('here', { nonce: 'another-nonce-0123456' })).text).not.toBe(known.text);
  });

  test('is bounded in what it takes', async () => {
    expect((await ask('here', { nonce: 'short' })).status).toBe(400);
    expect((await ask('here', { nonce, more: 'x'.repeat(2000) })).status).toBe(413);
  });
});

test('an address gets so many echoes and no more until time has passed, whatever others ask for', () => {
  const budget = new EchoBudget(createMetrics());
  const takes = (address: string, nowMs: number, times: number) =>
    Array.from({ length: times }, () => budget.take(address, nowMs)).filter(Boolean).length;
  expect(takes('192.0.2.1', 0, 6000)).toBe(5000);
  expect(takes('192.0.2.2', 0, 10)).toBe(10);
  expect(takes('192.0.2.1', 0, 1)).toBe(0);
  expect(takes('192.0.2.1', 1000, 1000)).toBe(500);
  expect(takes('192.0.2.1', 3_600_000, 6000)).toBe(5000);
});
