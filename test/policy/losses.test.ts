/** Tables that lost something: what sites have is never taken from them for that, and `restore` ends being read-only. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Delivery } from '../../api/gateway/delivery.ts';
import { Documents } from '../../api/gateway/documents.ts';
import { until, virtualSite } from './control-parts.ts';
import { allowlist, move, openPolicyParts } from './policy-parts.ts';

type Hub = Awaited<ReturnType<typeof openPolicyParts>>;
type Entries = { key: string; value: Uint8Array | null }[];

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const restore = { verb: 'hub.restore' } as const;

describe('a hub whose table of resources lost something', () => {
  let hub: Hub;
  let control: Awaited<ReturnType<Hub['control']>>;
  beforeEach(async () => {
    hub = await openPolicyParts();
    control = await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
  });
  afterEach(() => hub.close());

  async function change(entries: () => Entries): Promise<void> {
    await control.stop();
    const owner = await hub.table.claim('control');
    await owner.write('resources', entries());
    await owner.release();
    control = await hub.control();
    // Whatever it would have published at its start and first ticks is out when a command was carried out.
    await hub.ask(allowlist('other', ['other.example']));
  }

  const row = (key: string, text: string) => () => [{ key, value: Buffer.from(text) }];

  async function expectHeld(why: string): Promise<void> {
    expect(hub.target('payments')).toMatchObject({ absent: false, assignments: [{}, {}] });
    expect(hub.target('payments')?.assignments[0]?.next).not.toBeNull();
    const refused = await hub.ask(move('pause'));
    expect(refused).toMatchObject({ code: 'hub-behind', detail: expect.stringContaining(why) });
  }

  it.each(['Rollout/allowlist-payments', 'Allowlist/payments'])('%s unreadable', async (key) => {
    await change(row(key, '{"kind":"Newer"}'));
    await expectHeld(key);
    expect(await hub.ask(restore)).toMatchObject({ ok: true });
    expect(await hub.ask(allowlist('ledger', ['ledger.example']))).toMatchObject({ ok: true });
    await hub.reach('awaiting-promotion', 0, 'ledger');
    expect(hub.target('payments')).toMatchObject({ absent: false, version: { epoch: 1 } });
    expect(await hub.ask(allowlist('payments', ['api.example']))).toMatchObject({ ok: true });
    await until('the policy again', () => hub.target('payments')?.version.epoch === 2);
  });

  it('VirtualSite/test unreadable', async () => {
    await change(row('VirtualSite/test', 'x'));
    await expectHeld('VirtualSite/test');
  });

  it('VirtualSite/test gone', async () => {
    await change(() => [{ key: 'VirtualSite/test', value: null }]);
    await expectHeld('virtual site test');
    for (const missing of [0, 3]) {
      const restored = await hub.ask({ ...restore, missing });
      expect(restored).toMatchObject({ ok: true, warning: expect.stringContaining('apply it again') });
      expect(restored.detail).not.toContain('goes on');
    }
    expect(hub.resource('Issuer', 'hub').spec.epoch).toBe(1);
    await expectHeld('virtual site test');
    await hub.ask(virtualSite('test', 'env=test'));
    expect(await hub.ask(move('pause'))).toMatchObject({ ok: true });
  });

  it('everything gone', async () => {
    const resources = await hub.table.view('resources');
    const keys = [...resources.entries()].map(([key]) => key);
    await resources.close();
    await change(() => keys.map((key) => ({ key, value: null })));
    await expectHeld('Allowlist/payments');
    expect(await hub.ask(restore)).toMatchObject({ ok: true });
    await hub.settle();
    expect(await hub.ask(allowlist('payments', ['new.example']))).toMatchObject({ ok: true });
    await until('the policy again', () => hub.target('payments')?.version.epoch === 2);
  });

  it('a policy gone: sites are still told all that there is once a key was revoked', async () => {
    const gone = ['Allowlist/payments', 'Rollout/allowlist-payments'];
    await change(() => gone.map((key) => ({ key, value: null })));
    expect(await hub.ask(restore)).toMatchObject({ ok: true });
    const before = hub.target('payments');
    expect(await hub.ask({ verb: 'keys.rotate', revoke: true })).toMatchObject({ ok: true });
    const documents = new Documents(hub.views, quiet);
    const first = () => new Delivery('test-1', { type: 'have', targets: [], specs: [] }, documents).next();
    await until('all of it', () => first()?.whole === true);
    const keys = first()?.documents.map(({ key }) => key);
    expect(keys).toEqual(
      expect.arrayContaining(['default/Allowlist/payments', 'default/Allowlist/payments/1']),
    );
    documents.close();
    expect(hub.target('payments')).toEqual(before);
  });

  it('a rollout gone: its policy applied again leaves virtual sites what they were promoted to', async () => {
    await hub.ask(move('promote'));
    await hub.reach('completed', 1);
    const running = () =>
      hub.target('payments')?.assignments.map(({ virtualSite, current }) => [virtualSite, current]);
    await until('the end of it', () => hub.target('payments')?.version.n === hub.rollout()?.spec.version.n);
    const before = running();
    expect(before).toMatchObject([
      ['test', { generation: 1 }],
      ['prod', { generation: 1 }],
    ]);
    await change(() => [{ key: 'Rollout/allowlist-payments', value: null }]);
    expect(await hub.ask(restore)).toMatchObject({ ok: true });
    expect(await hub.ask(allowlist('payments', ['new.example']))).toMatchObject({ ok: true });
    await until('its first stage', () => hub.target('payments')?.assignments[0]?.next?.generation === 2);
    expect(running()).toEqual(before);
    expect(hub.rollout()?.spec.base).toEqual([
      { virtualSite: 'test', generation: 1 },
      { virtualSite: 'prod', generation: 1 },
    ]);
    await hub.reach('awaiting-promotion');
    await hub.ask(move('rollback'));
    await until('what it ran before', () => hub.target('payments')?.assignments[0]?.next === null);
    expect(running()).toEqual(before);
  });

  it('an older one than what was published', async () => {
    const before = JSON.stringify(hub.rollout());
    await hub.ask(move('promote'));
    await hub.reach('completed', 1);
    const { version } = hub.target('payments') ?? {};
    await change(row('Rollout/allowlist-payments', before));
    expect(hub.target('payments')?.version).toEqual(version);
    expect(await hub.ask(move('promote'))).toMatchObject({ code: 'hub-behind' });
    expect(await hub.ask(restore)).toMatchObject({ ok: true });
    expect(await hub.ask(move('promote'))).toMatchObject({ ok: true });
  });

  it('a deleted policy is withdrawn, also by the next owner', async () => {
    expect(await hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'payments' })).toMatchObject({
      ok: true,
    });
    await until('its absence', () => hub.target('payments')?.absent === true);
    await control.stop();
    control = await hub.control();
    expect(await hub.ask(allowlist('payments', ['new.example']))).toMatchObject({ ok: true });
    await until('the policy again', () => hub.target('payments')?.absent === false);
    await until('no withdrawal', () => hub.resource('Issuer', 'hub').spec.withdrawn?.length === 0);
  });
});

describe('sites that say they have seen what the hub does not know', () => {
  let hub: Hub;
  beforeEach(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
  });
  afterEach(() => hub.close());

  async function claim(part: { name?: string; seen: { epoch: number; n: number } }): Promise<void> {
    const [state] = hub.fleet.states();
    const [policy] = state?.policies ?? [];
    if (state === undefined || policy === undefined) throw new Error('no site has the policy');
    await hub.say({ ...state, policies: [policy, { ...policy, ...part }] });
  }

  // Nothing is paused that could be resumed: it is refused either way.
  const held = async () => (await hub.ask(move('resume'))).code === 'hub-behind';

  const troublesOf = (): string[] =>
    hub.resource('HubStatus', 'hub').spec.troubles.map(({ code }: { code: string }) => code);

  it.each([
    ['of a policy that it never had', { name: 'lost', seen: { epoch: 1, n: 5 } }],
    ['in an epoch far above its own', { seen: { epoch: 900, n: 1 } }],
  ])('%s: one restore ends it', async (_, part) => {
    await claim(part);
    await until('being read-only', held);
    await until('the hub says it', () => troublesOf().includes('read-only'));
    expect(await hub.ask(restore)).toMatchObject({ ok: true, effect: 'updated' });
    expect(await held()).toBe(false);
    await until('the hub says it no more', () => troublesOf().length === 0);
    hub.clock.advance(120_000);
    await until('both ends of it', async () => {
      const [begun] = await hub.events('policy.read-only');
      const [over] = await hub.events('policy.read-only-over');
      return begun?.message.includes('plumbline restore') === true && over !== undefined;
    });
    expect(await hub.events('policy.read-only')).toHaveLength(1);
  });

  it('of the keyring, or of their own labels: one restore ends it', async () => {
    const [state] = hub.fleet.states();
    if (state === undefined) throw new Error('no site');
    const keys = hub.body('targets', 'default/Keys');
    if (keys?.type !== 'keys') throw new Error('no keys');
    const ids = keys.keys.map(({ id }) => id);
    const newer = [
      { keyring: { version: { epoch: 1, n: 7 }, ids } },
      { labelsSeen: { epoch: 2, n: Number.MAX_SAFE_INTEGER } },
    ];
    for (const [i, part] of newer.entries()) {
      await hub.say({ ...state, ...part });
      await until('being read-only', held);
      expect(await hub.ask(restore)).toMatchObject({ effect: 'updated' });
      expect(await held()).toBe(false);
      expect(hub.resource('Issuer', 'hub').spec.epoch).toBe(i + 2);
      await until('its labels in that epoch', () => {
        const body = hub.body('targets', `default/Site/${state.site}`);
        return body?.type === 'site' && body.version.epoch === i + 2;
      });
      await until('no trouble', () => troublesOf().length === 0);
    }
  });

  it('in an epoch that no restore gets to: nobody believes it', async () => {
    await claim({ seen: { epoch: 4e9, n: 1 } });
    const told = await until('an event', async () => {
      const events = await hub.events('site.implausible');
      return events.length > 0 && events;
    });
    expect(told).toMatchObject([{ site: 'test-1', message: expect.stringContaining('4000000000.1') }]);
    await until('the hub says it', () => troublesOf().includes('claim-implausible'));
    expect(await held()).toBe(false);
  });
});

describe('one site that says it has seen what the hub does not know', () => {
  let hub: Hub;
  let control: Awaited<ReturnType<Hub['control']>>;
  let isLying: boolean;
  beforeEach(async () => {
    isLying = false;
    hub = await openPolicyParts();
    control = await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    await until('the next stage', () => hub.target('payments')?.assignments[1]?.next !== null);
  });
  afterEach(() => hub.close());

  async function report(): Promise<void> {
    hub.clock.advance(1000);
    const states = hub.fleet.states().map((state) => {
      const lies = (state.policies ?? []).map((one) => ({ ...one, name: 'lost', seen: { epoch: 1, n: 5 } }));
      return isLying && state.site === 'test-1' ? { ...state, policies: lies } : state;
    });
    await hub.say(...states);
  }

  async function lie(): Promise<void> {
    isLying = true;
    await report();
    await until('being read-only', async () => (await hub.ask(move('resume'))).code === 'hub-behind');
  }

  async function expectTakenBack(): Promise<void> {
    const version = hub.rollout()?.spec.version;
    await until('its target', () => hub.target('payments')?.version.n === version?.n);
    expect(hub.target('payments')).toMatchObject({
      version,
      assignments: [{}, { current: null, next: null }],
    });
  }

  it('keeps no failing stage from being rolled back by itself', async () => {
    await lie();
    hub.fleet.failing.add('prod-1');
    await until('its rollback', async () => {
      await report();
      return hub.rollout()?.spec.phase === 'rolled-back';
    });
    await expectTakenBack();
    expect(await hub.ask(move('retry'))).toMatchObject({ code: 'hub-behind' });
  });

  it('nor a person from pausing it, and from rolling it back, also under the next owner', async () => {
    await lie();
    await control.stop();
    control = await hub.control();
    const before = hub.target('payments');
    const paused = await hub.ask(move('pause'));
    expect(paused).toMatchObject({ ok: true });
    expect(hub.rollout()?.spec.phase).toBe('paused');
    expect(hub.target('payments')).toEqual(before);
    expect(await hub.ask(allowlist('payments', ['other.example']))).toMatchObject({ code: 'hub-behind' });
    expect(await hub.ask(move('rollback'))).toMatchObject({ ok: true });
    await expectTakenBack();
  });

  it('but what was decided before and goes on is not published by an owner that finds it', async () => {
    await lie();
    const before = hub.target('payments');
    const rollout = hub.rollout();
    if (before === null || rollout === undefined) throw new Error('nothing is published');
    await control.stop();
    const version = { ...before.version, n: before.version.n + 1 };
    const owner = await hub.table.claim('control');
    const decided = { ...rollout, spec: { ...rollout.spec, version } };
    await owner.write('resources', [
      { key: 'Rollout/allowlist-payments', value: Buffer.from(JSON.stringify(decided)) },
    ]);
    await owner.release();
    control = await hub.control();
    expect(await hub.ask(move('retry'))).toMatchObject({ code: 'hub-behind' });
    expect(await hub.ask(move('pause'))).toMatchObject({ ok: true });
    expect(hub.target('payments')).toEqual(before);
  });

  it('but nothing goes on meanwhile, however long and well it runs', async () => {
    await lie();
    const before = hub.target('payments');
    const asked = hub.fleet.asked.length;
    await until('some evaluations', async () => {
      await report();
      return hub.fleet.asked.length > asked + 3;
    });
    expect(hub.rollout()?.spec).toMatchObject({ phase: 'progressing', stage: 1 });
    expect(hub.target('payments')).toEqual(before);
    isLying = false;
    await report();
    await hub.reach('completed', 1);
  });
});

describe('a hub that nobody is ahead of', () => {
  let hub: Hub;
  beforeEach(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
  });
  afterEach(() => hub.close());

  it('has nothing to restore, and changes nothing; reports that are missing are noted, and no more', async () => {
    const before = hub.resource('Issuer', 'hub');
    const result = await hub.ask(restore);
    expect(result).toMatchObject({ ok: true, effect: 'unchanged' });
    expect(result.detail).toContain('nothing to restore');
    expect(hub.resource('Issuer', 'hub')).toEqual(before);
    const of = (boot: string) => ({ boot, seq: 7 });
    const noted = await hub.ask({ ...restore, missing: 12, handedOver: { one: of('a'), two: of('b') } });
    expect(noted).toMatchObject({ ok: true, effect: 'updated' });
    expect(noted.detail).toMatch(/^12 reports /);
    const handedOver = { one: of('a'), two: of('b') };
    const restoredAtMs = hub.clock.nowMs();
    expect(hub.resource('Issuer', 'hub').spec).toEqual({ ...before.spec, restoredAtMs, handedOver });
    await until('its only event', async () => (await hub.events('hub.restored')).length === 1);
    await hub.ask({ ...restore, missing: 1, handedOver: { two: of('c') } });
    expect(hub.resource('Issuer', 'hub').spec.handedOver).toEqual({ one: of('a'), two: of('c') });
  });

  it('but that sites believe none of: says so, and makes no key that they would believe as little', async () => {
    const [first, second, third] = hub.fleet.states();
    if (first === undefined || second === undefined || third === undefined) throw new Error('no sites');
    const keys = hub.body('targets', 'default/Keys');
    if (keys?.type !== 'keys') throw new Error('no keys');
    const { version } = keys;
    const own = { version, ids: keys.keys.map(({ id }) => id) };
    const other = { version, ids: ['another'] };
    const troubles = (): { code: string; severity: string; detail: string }[] =>
      hub.resource('HubStatus', 'hub').spec.troubles;
    await hub.say({ ...first, keyring: other }, { ...second, keyring: own }, { ...third, keyring: own });
    await until('one site of three', () => troubles()[0]?.severity === 'warning');
    expect(await hub.ask({ verb: 'keys.rotate' })).toMatchObject({ ok: true });
    await hub.say({ ...second, keyring: other });
    await until('most of them', () => troubles()[0]?.severity === 'critical');
    expect(troubles()).toMatchObject([{ code: 'key-distrusted', detail: expect.stringContaining('2 of 3') }]);
    const refused = await hub.ask({ verb: 'keys.rotate' });
    expect(refused).toMatchObject({ code: 'hub-behind', detail: expect.stringContaining('policy.key') });
    expect(await hub.ask(restore)).toMatchObject({ effect: 'unchanged', warning: refused.detail });
    expect(await hub.ask(move('pause'))).toMatchObject({ ok: true });
    // The third has only not heard of the rotation yet, which the key that it believes vouches for.
    const newest = {
      version,
      ids: hub.resource('Issuer', 'hub').spec.keys.map((one: { id: string }) => one.id),
    };
    await hub.say({ ...first, keyring: newest }, { ...second, keyring: newest });
    await until('that all believe it', () => troubles().length === 0);
    hub.clock.advance(120_000);
    await until('its end', async () => (await hub.events('keys.trusted')).length === 1);
    expect(await hub.events('keys.distrusted')).toHaveLength(2);
  });
});
