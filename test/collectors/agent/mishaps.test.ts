import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnforcerError } from '../../../core/ports/enforcer.ts';
import { SpoolError } from '../../../core/ports/spool.ts';
import { allowing, assignedOf, attempt } from './scripted-hub.ts';
import { SiteWorld } from './site-world.ts';

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

describe('a disk that is full', () => {
  let isFull = false;
  const memory = {
    keep: (name: string, text: string | null) => {
      if (isFull) throw new SpoolError('full', 'no room');
      if (text === null) world.disk.delete(name);
      else world.disk.set(name, text);
    },
    kept: (name: string) => world.disk.get(name) ?? null,
  };
  beforeEach(async () => {
    isFull = false;
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    await world.stop();
    await world.boot({ memory });
    world.hub.connect();
    await world.interval();
  });

  it('while a change waits for its confirmation: one that cuts the hub is taken back, and not tried again', async () => {
    world.hub.isReachable = () => {
      isFull = true;
      return !world.kernel.policies().includes('payments 2 enforce');
    };
    world.hub.assign('payments', 2, B);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
    const asked = world.hub.confirmations;
    isFull = false;
    await world.intervals(3);
    await world.stop();
    await world.boot({ memory });
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    expect(world.hub.confirmations).toBe(asked);
  });

  it('keeps a change from being begun, says so, and lets it go on once there is room', async () => {
    world.hub.assign('payments', 2, B);
    await world.interval();
    world.hub.publish('target payments', world.hub.target('payments', assignedOf(1, A)));
    await world.stop();
    await world.boot({ memory });
    world.hub.isUp = true;
    isFull = true;
    const status = await world.status('payments');
    expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
    expect(status).toMatchObject({ phase: 'applying', reason: expect.stringMatching(/memory-full/) });
    isFull = false;
    await world.intervals(30);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', generation: 1 });
  });
});

describe('a memory that is lost', () => {
  const codes = async () => (await world.interval())?.refusals.map(({ code }) => code);
  const restartWithout = async (spoil: () => void) => {
    world.hub.assign('payments', 1, A);
    world.hub.assign('search', 1, B);
    await world.intervals(2);
    await world.stop();
    spoil();
    world.hub.isUp = false;
    await world.boot();
    await world.intervals(3);
  };
  const untouched = ['payments 1 enforce', 'search 1 enforce'];
  const loseSpecs = () => {
    for (const name of world.disk.keys()) if (name.startsWith('policy/spec/')) world.disk.delete(name);
  };
  const spoilState = () => world.disk.set('policy/state', '{"v":1');

  it.each([
    ['the state', spoilState, 'state-lost'],
    ['a specification', loseSpecs, 'spec-lost'],
  ])(
    '%s: what is in force stays, over restarts, and goes on when the hub is back',
    async (_what, spoil, code) => {
      await restartWithout(spoil);
      const { changes } = world.kernel;
      expect(world.kernel.policies()).toEqual(untouched);
      expect(await codes()).toEqual([code]);
      await world.stop();
      await world.boot();
      await world.intervals(3);
      expect(world.kernel.policies()).toEqual(untouched);
      expect(world.kernel.changes).toBe(changes);
      world.hub.isUp = true;
      world.hub.connect();
      await world.intervals(2);
      expect(await world.status('payments')).toMatchObject({ phase: 'applied', live: true });
      expect(world.kernel.policies()).toEqual(untouched);
      world.hub.publish('target search', world.hub.target('search', null));
      await world.intervals(2);
      expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
    },
  );

  it('is said of the policy whose specification it was', async () => {
    await restartWithout(loseSpecs);
    expect(await world.status('payments')).toMatchObject({ phase: 'pending', generation: 1, live: false });
  });

  it('of a generation that the hub has no more does not hold up the one after it', async () => {
    await restartWithout(loseSpecs);
    world.hub.forget('spec payments 1');
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(untouched);
    world.hub.assign('payments', 2, B);
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(['payments 2 enforce', 'search 1 enforce']);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied' });
  });

  it.each([
    ['the state', spoilState],
    ['a specification', loseSpecs],
  ])(
    '%s: a first change that cuts the hub leaves what is in force as it was, until somebody has it tried again',
    async (_what, spoil) => {
      await restartWithout(spoil);
      world.hub.assign('payments', 2, B);
      world.hub.assign('search', 2, A);
      world.hub.isReachable = () => {
        // One of them alone would open what the other holds back.
        expect(world.kernel.policies()).toHaveLength(2);
        return !/ 2 /.test(world.kernel.policies().join());
      };
      world.hub.isUp = true;
      world.hub.connect();
      await world.intervals(5);
      expect(world.kernel.policies()).toEqual(untouched);
      expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
      const { confirmations } = world.hub;
      await world.stop();
      await world.boot();
      world.hub.connect();
      await world.intervals(20);
      expect(world.hub.confirmations).toBe(confirmations);
      expect(world.kernel.policies()).toEqual(untouched);
      world.hub.isReachable = () => true;
      world.hub.assign('payments', 2, B, { attempt: attempt(2) });
      world.hub.assign('search', 2, A, { attempt: attempt(2) });
      await world.intervals(2);
      expect(world.kernel.policies()).toEqual(['payments 2 enforce', 'search 2 enforce']);
      expect(await world.status('search')).toMatchObject({ phase: 'applied', live: true });
    },
  );

  it('is no trap: a first change that was cut off before it was confirmed is undone by the next start', async () => {
    await restartWithout(spoilState);
    world.hub.assign('payments', 2, B);
    world.hub.isReachable = () => {
      world.killAfter = { effects: 1, lastHappens: false };
      return false;
    };
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(['payments 2 enforce', 'search 1 enforce']);
    world.hub.isReachable = () => false;
    await world.boot();
    expect(world.kernel.policies()).toEqual(untouched);
  });

  it('is no trap: where what was found can not be put back, no policy is left that cuts the hub', async () => {
    await restartWithout(spoilState);
    world.kernel.refusesToPutBack = new EnforcerError('rejected', 'nft can not load it');
    world.hub.assign('payments', 2, B);
    world.hub.isReachable = () => !/payments 2/.test(world.kernel.policies().join());
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(3);
    // What is found guilty alone is refused alone: nothing that is not known is in force any more.
    expect(world.kernel.policies()).toEqual(['search 1 enforce']);
    expect(await world.status('payments')).toMatchObject({ phase: 'refused', generation: 2 });
    expect(await world.status('search')).toMatchObject({ phase: 'applied', live: true });
  });

  it('while the dataplane is busy, what was found is put back as soon as it is not', async () => {
    await restartWithout(spoilState);
    world.kernel.refusesToPutBack = new EnforcerError('busy', 'nft did not end');
    world.hub.assign('payments', 2, B);
    world.hub.isReachable = () => !/payments 2/.test(world.kernel.policies().join());
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(3);
    expect(world.kernel.policies()).toEqual(['payments 2 enforce', 'search 1 enforce']);
    world.kernel.refusesToPutBack = null;
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(untouched);
  });

  it('is not touched where it could not be put back, and that is said', async () => {
    await restartWithout(spoilState);
    world.kernel.refusesToHold = new EnforcerError('rejected', 'nft would not load it');
    world.hub.assign('payments', 2, B);
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(3);
    expect(world.kernel.policies()).toEqual(untouched);
    expect(await world.status('payments')).toMatchObject({
      reason: expect.stringContaining('nft would not load it'),
    });
  });

  it('is put back only from what was held before the very change that cuts the hub', async () => {
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    // Of a loss long ago.
    world.kernel.held = structuredClone(world.kernel.inForce);
    world.hub.assign('payments', 2, B);
    await world.intervals(2);
    world.hub.isReachable = () => {
      world.killAfter = { effects: 1, lastHappens: false };
      return false;
    };
    world.hub.assign('payments', 3, A);
    await world.intervals(2);
    loseSpecs();
    await world.boot();
    expect(world.kernel.policies()).toEqual([]);
  });

  it('goes on with one policy while another that needs no trial is refused for the same reason as one before', async () => {
    await restartWithout(spoilState);
    world.disk.set(
      'policy/state',
      JSON.stringify({
        ...JSON.parse(world.disk.get('policy/state') ?? ''),
        refused: [
          {
            key: 'default/Allowlist/gone',
            digest: 'x',
            mode: 'enforce',
            attempt: attempt(1),
            code: 'guard',
            detail: 'of a policy that is over',
          },
        ],
      }),
    );
    await world.stop();
    await world.boot();
    const guard = { forbidden: ['203.0.113.0/24'], widestCidr: null };
    world.hub.put('target search', world.hub.target('search', assignedOf(1, B), { guard }));
    world.hub.put('target payments', world.hub.target('payments', assignedOf(1, A)));
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(3);
    expect(await world.status('payments')).toMatchObject({ phase: 'applied', live: true });
  });

  it('is let go all the same when the owner disarms', async () => {
    await restartWithout(spoilState);
    await world.disarm();
    expect(world.kernel.inForce).toBeNull();
  });
});

describe('a policy that is only taken away', () => {
  beforeEach(async () => {
    world.hub.assign('a', 1, A);
    world.hub.assign('b', 1, B);
    await world.intervals(2);
    world.hub.isReachable = () => world.kernel.policies().includes('b 1 enforce');
  });

  const withdrawB = async () => {
    world.hub.publish('target b', world.hub.target('b', null));
    await world.intervals(2);
  };

  it('while another isolates: it is put back where it cuts the hub, and no newer target has it tried again', async () => {
    await withdrawB();
    expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce']);
    expect(await world.status('b')).toMatchObject({ phase: 'refused', generation: 1, live: true });
    const { confirmations } = world.hub;
    await world.intervals(20);
    for (let i = 0; i < 3; i += 1) await withdrawB();
    world.hub.publish('target a', world.hub.target('a', assignedOf(1, A)));
    world.hub.connect();
    await world.intervals(2);
    expect(world.hub.confirmations).toBe(confirmations);
    expect(await world.status('b')).toMatchObject({ phase: 'refused', generation: 1, live: true });
  });

  it('is tried again after a while, each time for twice as long, up to a day', async () => {
    await withdrawB();
    const HOUR_MS = 3_600_000;
    for (const hours of [1, 2, 4, 8, 16, 24, 24]) {
      const { confirmations } = world.hub;
      await world.interval(hours * HOUR_MS - 10_000);
      expect(world.hub.confirmations).toBe(confirmations);
      await world.interval(10_000);
      await world.interval();
      expect(world.hub.confirmations).toBeGreaterThan(confirmations);
      expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce']);
    }
    world.hub.isReachable = () => true;
    await world.interval(24 * HOUR_MS);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['a 1 enforce']);
  });

  it('is tried again at the next start, and sooner when the hub is somewhere else', async () => {
    await withdrawB();
    const { confirmations } = world.hub;
    await world.stop();
    let address = '192.0.2.1';
    await world.boot({ endpoints: async () => [{ address, port: 7117, protocol: 'TCP' }] });
    await world.intervals(2);
    expect(world.hub.confirmations).toBeGreaterThan(confirmations);
    await world.interval(3_600_000);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce']);
    // Tried twice, it would be left for two hours.
    world.hub.isReachable = () => true;
    address = '192.0.2.2';
    await world.interval(3_000_000);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce']);
    await world.interval(600_000);
    await world.interval();
    expect(world.kernel.policies()).toEqual(['a 1 enforce']);
  });

  it('while the hub begins anew is taken away as soon as that is there again', async () => {
    world.hub.isHeard = false;
    let asked = 0;
    // Away for the whole window, and back for the question after it.
    world.hub.isReachable = () => ++asked !== 1;
    await withdrawB();
    expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce']);
    await world.intervals(30);
    expect(world.kernel.policies()).toEqual(['a 1 enforce']);
    expect(await world.status('b')).toMatchObject({ phase: 'withdrawn' });
  });

  it('is tried again once something else changed in what is in force with it', async () => {
    await withdrawB();
    world.hub.isReachable = () => /b 1|a 2/.test(world.kernel.policies().join());
    world.hub.assign('a', 2, B);
    await world.intervals(2);
    expect(world.kernel.policies()).toEqual(['a 2 enforce']);
    expect(await world.status('b')).toMatchObject({ phase: 'withdrawn' });
  });

  it('is tried again when it was wanted in between', async () => {
    await withdrawB();
    const { confirmations } = world.hub;
    world.hub.publish('target b', world.hub.target('b', assignedOf(1, B)));
    expect(await world.status('b')).toMatchObject({ phase: 'applied' });
    expect(world.hub.confirmations).toBe(confirmations);
    world.hub.isReachable = () => true;
    await withdrawB();
    expect(world.kernel.policies()).toEqual(['a 1 enforce']);
  });

  it('together with an innocent change: only the taking away is refused', async () => {
    world.hub.isUp = false;
    world.hub.assign('c', 1, A);
    world.hub.publish('target b', world.hub.target('b', null));
    world.hub.isUp = true;
    world.hub.connect();
    await world.intervals(4);
    expect(world.kernel.policies()).toEqual(['a 1 enforce', 'b 1 enforce', 'c 1 enforce']);
    expect(await world.status('c')).toMatchObject({ phase: 'applied' });
    expect(await world.status('b')).toMatchObject({ phase: 'refused' });
  });
});
