import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signBody } from '../../../core/policy/sign.ts';
import { EnforcerError } from '../../../core/ports/enforcer.ts';
import { allowing, assignedOf, specOf } from './scripted-hub.ts';
import { SITE, SiteWorld } from './site-world.ts';

const A = allowing('198.51.100.0/24');
const B = allowing('198.51.100.0/24', '203.0.113.0/24');
let world: SiteWorld;

beforeEach(async () => {
  world = new SiteWorld();
  await world.boot();
  world.hub.connect();
  await world.interval();
});
afterEach(() => world.stop());

const codes = async () => (await world.interval())?.refusals.map(({ code }) => code);

describe('a policy that reaches a site', () => {
  it('is kept together with all that came with it, since the disk is waited for each time', async () => {
    await world.stop();
    world = new SiteWorld();
    let writes = 0;
    await world.boot({
      memory: {
        keep: (name, text) => {
          if (name === 'policy/state') writes += 1;
          world.disk.set(name, String(text));
        },
        kept: (name) => world.disk.get(name) ?? null,
      },
    });
    world.hub.isUp = false;
    for (const name of ['payments', 'search', 'mail']) world.hub.assign(name, 1, A);
    world.hub.isUp = true;
    world.hub.connect();
    await world.interval();
    expect(world.kernel.policies()).toHaveLength(3);
    // What came at once, with ten documents; the others are steps of putting it in force.
    expect(writes).toBeLessThanOrEqual(6);
  });

  it('is applied, confirmed, and reported with what it was told', async () => {
    world.hub.assign('payments', 1, A);
    const status = await world.status('payments');
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(world.kernel.inForce?.exempt).toEqual({
      uid: 0,
      endpoints: [{ address: '192.0.2.1', port: 7117, protocol: 'TCP' }],
    });
    expect(status).toMatchObject({
      phase: 'applied',
      live: true,
      generation: 1,
      workloads: 1,
      counterEpoch: 0,
    });
    expect(status?.seen).toEqual({ epoch: 1, n: world.hub.n });
    for (const at of [status?.deliveredAtMs, status?.appliedAtMs, status?.confirmedAtMs])
      expect(at).not.toBeNull();
    expect(status?.firstHitAtMs).toBeNull();
  });

  it('is in force again at once after a restart, without a hub and without asking for one', async () => {
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    await world.stop();
    world.kernel.inForce = null;
    world.hub.isUp = false;
    const asked = world.hub.confirmations;
    await world.boot();
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', live: true });
    expect(world.hub.confirmations).toBe(asked);
  });

  it('that selects nothing here is not applicable, and opens nothing', async () => {
    world.hub.assign('other', 1, { ...A, workloads: { matchLabels: { app: 'other' } } });
    expect(await world.status('other')).toMatchObject({ phase: 'not-applicable', workloads: 0, live: false });
    expect(world.kernel.policies()).toEqual([]);
  });

  it('waits for its specification, and leaves in force what is', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(2, B)));
    expect(await world.status('payments')).toMatchObject({ phase: 'pending', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    world.hub.publish('spec payments 2', specOf('payments', 2, B));
    await world.interval();
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
  });

  it('is withdrawn by a target that assigns nothing, or says that it is deleted', async () => {
    for (const [generation, target] of [
      [1, () => world.hub.target('payments', null)],
      [2, () => world.hub.target('payments', assignedOf(2, A), { absent: true })],
    ] as const) {
      world.hub.assign('payments', generation, A);
      await world.interval();
      expect(world.kernel.policies()).toEqual([`payments ${generation} enforce`]);
      world.hub.publish('target payments', target());
      expect(await world.status('payments')).toMatchObject({
        phase: 'withdrawn',
        generation: 0,
        reason: expect.stringContaining(`generation ${generation}`),
      });
      expect(world.kernel.policies()).toEqual([]);
    }
  });

  it('is withdrawn when the labels that the hub gives the site no longer match', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.publish('Site', world.hub.site(SITE, { env: 'prod' }));
    expect(await world.status('payments')).toMatchObject({ phase: 'withdrawn' });
    expect(world.kernel.policies()).toEqual([]);
  });

  it('that the hub no longer speaks of is kept, as an orphan, until it is spoken of again', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.forget('target payments');
    world.hub.connect();
    expect(await world.status('payments')).toMatchObject({ phase: 'orphaned', live: true, generation: 1 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(1, A)));
    world.hub.connect();
    expect(await world.status('payments')).toMatchObject({ phase: 'applied' });
  });

  it('is no orphan while the hub speaks of it, however little of that can be obeyed', async () => {
    const older = world.hub.target('payments', null);
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.put('target payments', older);
    world.hub.connect();
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 1 });
  });

  it('that the hub no longer speaks of before it could be applied never is', async () => {
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(1, A)));
    await world.interval();
    world.hub.forget('target payments');
    world.hub.connect();
    world.hub.publish('spec payments 1', specOf('payments', 1, A));
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual([]);
  });

  it('that had no room is asked for again once another has gone, without a channel anew', async () => {
    const remove = (name: string) =>
      world.hub.publish(`target ${name}`, world.hub.target(name, null, { absent: true, assignments: [] }));
    for (let i = 10; i < 71; i += 1) world.hub.assign(`p-${i}`, 1, A);
    await world.intervals(3);
    expect(world.kernel.policies()).toHaveLength(60);
    expect(world.kernel.policies()).not.toContain('p-70 1 enforce');
    expect(world.hub.tellings).toBe(0);
    remove('p-10');
    const report = await world.intervals(4);
    expect(world.kernel.policies()).toHaveLength(60);
    expect(world.kernel.policies()).toContain('p-70 1 enforce');
    expect(report?.policies.filter(({ phase }) => phase !== 'applied')).toEqual([]);
    // The deleted one, of which the hub still speaks, needs no place.
    remove('p-10');
    const later = await world.intervals(20);
    expect(later?.policies.filter(({ phase }) => phase !== 'applied')).toEqual([]);
    expect(world.hub.tellings).toBe(1);
    // What the hub does not send again is not asked for on and on.
    world.hub.assign('p-71', 1, A);
    world.hub.forget('target p-71');
    await world.interval();
    remove('p-11');
    await world.intervals(20);
    expect(world.hub.tellings).toBe(2);
  });

  it('tells the hub on a fresh channel what it holds', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    const holdings = world.hub.connect();
    expect(holdings?.specs).toEqual(['default/Allowlist/payments/1']);
    expect(holdings?.targets.map(({ key }) => key)).toEqual([
      'default/Allowlist/payments',
      `default/Site/${SITE}`,
      'default/Keys',
    ]);
  });
});

describe('a hub that is away', () => {
  it('while a generation waits for it: taken back, no failure, and applied again when it is back', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.isUp = true;
    world.hub.publish('spec payments 2', specOf('payments', 2, B));
    const target = world.hub.target('payments', assignedOf(2, B));
    world.hub.isUp = false;
    world.hub.put('target payments', target);
    world.hub.send([signBody(target, world.hub.key)]);
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await codes()).toEqual(['hub-away']);
    await world.intervals(5);
    await world.stop();
    await world.boot();
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
    world.hub.isUp = true;
    world.hub.connect();
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
    await world.intervals(6);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
  });

  it('is asked now and then even when no channel is lost', async () => {
    world.hub.isUp = false;
    world.hub.send([
      signBody(specOf('payments', 1, A), world.hub.key),
      signBody(world.hub.target('payments', assignedOf(1, A)), world.hub.key),
    ]);
    expect(await world.status('payments')).toMatchObject({ phase: 'hub-away' });
    world.hub.isUp = true;
    await world.intervals(30);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied' });
  });

  it('never has a confirmed generation taken back', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.isUp = false;
    await world.intervals(120);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', live: true });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  });
});

describe('an agent that stops', () => {
  it('waits for no confirmation, leaves in force what is, and begins the change anew at its next start', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    await world.stop();
    await world.boot({
      link: { ...world.hub.link({ effect: (work) => work() }), confirm: () => new Promise(() => undefined) },
    });
    world.hub.assign('payments', 2, B);
    await world.interval();
    await world.stop();
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
    const revision = world.kernel.inForce?.revision ?? 0;
    world.hub.isUp = false;
    await world.boot();
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(world.kernel.inForce?.revision).toBe(revision + 1);
    world.hub.isUp = true;
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
  });
});

describe("the site's owner", () => {
  it('who has not turned enforcement on is never touched, and the documents are known all the same', async () => {
    const other = new SiteWorld();
    await other.boot({ enabled: false });
    other.hub.connect();
    other.hub.assign('payments', 1, A);
    const report = await other.interval();
    expect(report).toMatchObject({ enforcement: 'off', dataplane: 'none', labelsSeen: { epoch: 1, n: 2 } });
    expect(report?.workloads).toEqual([
      { name: 'checkout', labels: { app: 'checkout' }, binding: 'user', boundTo: '1001' },
    ]);
    expect(report?.policies[0]).toMatchObject({ phase: 'off', generation: 1, live: false });
    expect(other.kernel.changes).toBe(0);
    await other.stop();
  });

  it('who turns it off is let go', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    await world.stop();
    await world.boot({ enabled: false });
    expect(world.kernel.inForce).toBeNull();
  });

  it('who disarms is let go at once, without the hub, over restarts, until it is armed again', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    world.hub.isUp = false;
    await world.disarm();
    expect(world.kernel.inForce).toBeNull();
    expect(await world.interval()).toMatchObject({
      enforcement: 'disarmed',
      policies: [{ phase: 'disarmed', live: false }],
    });
    await world.stop();
    await world.boot();
    await world.intervals(5);
    expect(world.kernel.inForce).toBeNull();
    await world.mark(false);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await world.interval()).toMatchObject({
      enforcement: 'on',
      policies: [{ phase: 'applied', live: true }],
    });
  });

  it.each([
    ['disarms', true],
    ['turns it off', false],
  ])(
    'who %s is let go also when the machine refuses that at first, and is told so until then',
    async (_what, enabled) => {
      world.hub.assign('payments', 1, A);
      await world.interval();
      await world.stop();
      const inner = world.kernel.enforcer({ effect: (work) => work() });
      let isBusy = true;
      const enforcer = {
        ...inner,
        withdraw: async () => {
          if (isBusy) throw new EnforcerError('busy', 'nft did not end');
          return inner.withdraw();
        },
      };
      await world.boot({ enforcer, enabled });
      await world.intervals(2);
      if (enabled) await world.disarm();
      for (let i = 0; i < 3; i += 1)
        expect(await world.interval()).toMatchObject({
          enforcement: 'on',
          policies: [{ phase: 'pending', reason: expect.stringMatching(/nft did not end/) }],
        });
      expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
      isBusy = false;
      expect(await world.interval()).toMatchObject({ enforcement: enabled ? 'disarmed' : 'off' });
      expect(world.kernel.inForce).toBeNull();
    },
  );

  it('who disarms by another process in the midst of a confirmation is let go then', async () => {
    world.hub.assign('payments', 1, A);
    await world.interval();
    let answer: () => void = () => undefined;
    await world.stop();
    await world.boot({
      link: {
        ...world.hub.link({ effect: (work) => work() }),
        confirm: () =>
          new Promise((resolve) => {
            answer = () => resolve({ ok: true });
          }),
      },
    });
    world.hub.assign('payments', 2, B);
    expect(await world.status('payments')).toMatchObject({ phase: 'applying', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
    await world.mark(true);
    expect(world.kernel.inForce).toBeNull();
    await world.mark(false);
    expect(await world.status('payments')).toMatchObject({ phase: 'applying', generation: 2 });
    await world.mark(true);
    expect(world.kernel.inForce).toBeNull();
    answer();
    await world.intervals(3);
    expect(world.kernel.inForce).toBeNull();
  });
});
