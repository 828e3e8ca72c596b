import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signBody } from '../../../core/policy/sign.ts';
import { EnforcerError } from '../../../core/ports/enforcer.ts';
import { allowing, assignedOf, attempt, makeKey, specOf } from './scripted-hub.ts';
import { SITE, SiteWorld } from './site-world.ts';

const A = allowing('198.51.100.0/24');
const B = allowing('198.51.100.0/24', '203.0.113.0/24');
const C = allowing('203.0.113.7/32');
let world: SiteWorld;

beforeEach(async () => {
  world = new SiteWorld();
  await world.boot();
  world.hub.connect();
  await world.interval();
});
afterEach(() => world.stop());

const codes = async () => (await world.interval())?.refusals.map(({ code }) => code);

describe('a document that must not be obeyed', () => {
  beforeEach(async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
  });
  afterEach(() => expect(world.kernel.policies()).toEqual(['payments 1 enforce']));

  it('with a signature of somebody else is refused', async () => {
    const target = world.hub.target('payments', null);
    world.hub.send([signBody(target, { ...makeKey('k1'), id: 'k1' })]);
    expect(await codes()).toEqual(['bad-signature']);
    world.hub.send([signBody(target, makeKey('k2'))]);
    expect(await codes()).toEqual(['bad-signature', 'unknown-key']);
  });

  it('whose content was changed after it was signed is refused', async () => {
    const envelope = signBody(world.hub.target('payments', null), world.hub.key);
    world.hub.send([{ ...envelope, payload: envelope.payload.replace('payments', 'anything') }]);
    expect(await codes()).toEqual(['bad-signature']);
  });

  it('of another tenant is refused', async () => {
    const target = { ...world.hub.target('payments', null), tenant: 'other' };
    world.hub.send([signBody(target, world.hub.key)]);
    expect(await codes()).toEqual(['other-tenant']);
  });

  it('that is older than one it has seen is refused, also after a restart', async () => {
    const older = signBody(world.hub.target('payments', null), world.hub.key);
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(1, A)));
    await world.interval();
    world.hub.send([older]);
    expect(await codes()).toEqual(['replayed']);
    await world.stop();
    await world.boot();
    world.hub.send([older]);
    expect(await codes()).toEqual(['replayed']);
  });

  it('with a version that was seen with another content is refused', async () => {
    const target = world.hub.target('payments', assignedOf(1, A));
    world.hub.publish('target payments', target);
    world.hub.send([signBody({ ...target, absent: true }, world.hub.key)]);
    expect(await codes()).toEqual(['replayed']);
  });

  it('that has expired is refused; what was accepted in time runs on', async () => {
    const target = world.hub.target('payments', null);
    world.clock.wallMs += 2 * 3_600_000;
    world.hub.send([signBody(target, world.hub.key)]);
    expect(await codes()).toEqual(['expired']);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied' });
  });

  it('of a later semantics is refused', async () => {
    world.hub.send([signBody(world.hub.target('payments', null, { semantics: 2 }), world.hub.key)]);
    expect(await codes()).toEqual(['future-semantics']);
  });

  it('that gives another site labels, or this one by a key of its own, is refused', async () => {
    world.hub.send([signBody(world.hub.site('other-site', { env: 'prod' }), world.hub.key)]);
    expect(await codes()).toEqual(['other-site']);
    world.hub.send([signBody(world.hub.site(SITE, { env: 'prod' }), makeKey('own'))]);
    expect(await codes()).toEqual(['other-site', 'unknown-key']);
  });

  it('whose digest is not that of its content is refused', async () => {
    world.hub.send([
      signBody({ ...specOf('payments', 2, B), digest: assignedOf(2, A).digest }, world.hub.key),
    ]);
    expect(await codes()).toEqual(['digest-mismatch']);
  });

  it('that names new keys is believed only when a key that counts has signed it', async () => {
    const next = makeKey('k2');
    world.hub.send([signBody(world.hub.keys([next]), next)]);
    expect(await codes()).toEqual(['unknown-key']);
    world.hub.publish('Keys', world.hub.keys([next]));
    world.hub.send([signBody(world.hub.target('payments', assignedOf(1, A)), world.hub.key)]);
    expect(await codes()).toEqual(['unknown-key', 'unknown-key']);
    const target = world.hub.target('payments', assignedOf(1, A));
    world.hub.send([signBody(target, next)]);
    expect((await world.status('payments'))?.seen).toEqual(target.version);
  });

  it('says the same refusal once', async () => {
    const envelope = signBody(world.hub.target('payments', null, { semantics: 2 }), world.hub.key);
    for (let i = 0; i < 12; i += 1) world.hub.send([envelope]);
    expect(await codes()).toEqual(['future-semantics']);
  });
});

describe('a generation that must not be applied', () => {
  beforeEach(async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
  });

  it('breaks the guard of its virtual site, and is refused', async () => {
    world.hub.publish('spec payments 2', specOf('payments', 2, B));
    const guard = { forbidden: ['203.0.113.128/25'], widestCidr: null };
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(2, B), { guard }));
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2, live: false });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await codes()).toEqual(['guard']);
  });

  it("can't be expressed here, and is refused", async () => {
    world.hub.assign('payments', 2, { ...A, ingress: [] });
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await codes()).toEqual(['compile']);
  });

  it('is not taken by the dataplane, and is refused until somebody has it tried again', async () => {
    world.kernel.rejects = ({ policies }) =>
      policies.some(({ generation }) => generation === 2)
        ? new EnforcerError('rejected', 'no such set')
        : null;
    world.hub.assign('payments', 2, B);
    await world.intervals(3);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', reason: 'no such set' });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    world.kernel.rejects = () => null;
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(2, B)));
    await world.intervals(10);
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    const retried = assignedOf(2, B, { attempt: attempt(2) });
    world.hub.publish('target payments', world.hub.target('payments', retried));
    await world.interval();
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
  });

  it('cuts the hub: it is taken back and refused, and not tried again before somebody asks for it', async () => {
    world.hub.isReachable = () => !/payments [24] enforce/.test(world.kernel.policies().join());
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2, live: false });
    expect((await world.status('payments'))?.reason).toMatch(/hub/);
    expect(await codes()).toEqual(['cuts-hub']);
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    const asked = world.hub.confirmations;
    await world.intervals(20);
    await world.stop();
    await world.boot();
    world.hub.connect();
    await world.intervals(20);
    // As each raise of a threshold, or as content that comes back under a later number.
    for (const generation of [2, 2, 4]) {
      world.hub.assign('payments', generation, C);
      expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation });
    }
    expect(world.hub.confirmations).toBe(asked);
    world.hub.assign('payments', 4, C, { attempt: attempt(2) });
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 4 });
    expect(world.hub.confirmations).toBeGreaterThan(asked);
    world.hub.isReachable = () => true;
    world.hub.assign('payments', 4, C, { attempt: { epoch: 2, n: 1 } });
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 4 });
  });

  it('is not refused when the hub was away itself, and back for the question after it', async () => {
    world.hub.isHeard = false;
    let asked = 0;
    world.hub.isReachable = () => ++asked !== 1;
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    await world.stop();
    await world.boot();
    world.hub.connect();
    await world.intervals(30);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 2 });
    // The first report that the hub gets may be one of now: it says what was taken back before.
    expect((await world.interval())?.refusals).toMatchObject([
      {
        key: 'default/Allowlist/payments',
        code: 'hub-away',
        detail: expect.stringMatching(/^generation 2: ./),
      },
    ]);
  });

  it('cuts the channel too: it is refused when that happens twice in a row, over restarts, and not before', async () => {
    world.hub.isHeard = false;
    world.hub.isReachable = () => !world.kernel.policies().includes('payments 2 enforce');
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
    await world.stop();
    await world.boot();
    world.hub.connect();
    await world.intervals(40);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
    expect(await codes()).toEqual(['hub-away', 'cuts-hub']);
    // Another attempt is judged by itself.
    world.hub.assign('payments', 2, C, { attempt: attempt(2) });
    await world.interval();
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
  });

  it('is in force when the hub takes a new connection and does not answer: that is never its fault', async () => {
    world.hub.failsBy = 'unanswered';
    let failures = 2;
    world.hub.isReachable = () => {
      if (!world.kernel.policies().includes('payments 2 enforce') || failures === 0) return true;
      failures -= 1;
      return false;
    };
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
    await world.intervals(120);
    expect(failures).toBe(0);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 2 });
    expect(await codes()).toEqual(['hub-away']);
  });

  it('together with another, while the hub was away itself: both are in force once it is back', async () => {
    world.hub.isHeard = false;
    let asked = 0;
    world.hub.isReachable = () => ++asked > 1;
    world.hub.isUp = false;
    world.hub.assign('payments', 2, C);
    world.hub.assign('search', 1, A);
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(30);
    expect(world.kernel.policies()).toEqual(['payments 2 enforce', 'search 1 enforce']);
  });

  it('is refused for holding back: only watching, it is not what was tried', async () => {
    world.hub.isReachable = () => !world.kernel.policies().includes('payments 2 enforce');
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused' });
    world.hub.assign('payments', 2, C, { mode: 'audit' });
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', mode: 'audit' });
    world.hub.assign('payments', 2, C);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', mode: 'enforce' });
    expect(world.kernel.policies()).toEqual(['payments 2 audit']);
  });

  it('cuts the hub, while the one that came with it does not: only the guilty one is refused', async () => {
    world.hub.isReachable = () => !world.kernel.policies().includes('payments 2 enforce');
    world.hub.isUp = false;
    world.hub.assign('payments', 2, C);
    world.hub.assign('search', 1, A);
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(3);
    expect(world.kernel.policies()).toEqual(['payments 1 enforce', 'search 1 enforce']);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused' });
    expect(await world.status('search')).toMatchObject({ phase: 'applied' });
  });
});
