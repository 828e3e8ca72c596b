import fc from 'fast-check';
import { expect, it } from 'vitest';
import { allowing, assignedOf, specOf } from './scripted-hub.ts';
import { SiteWorld } from './site-world.ts';

/*
 * A process that is killed at any of its effects (a write to disk, a change or reading of the dataplane, a question to the
 * hub) and begun again ends where one that was never killed does. A failure prints the kills and is replayed by them.
 */

const A = allowing('198.51.100.0/24');
const B = allowing('198.51.100.0/24', '203.0.113.0/24');
const CUTTING = allowing('203.0.113.7/32');

/** What the hub does, one thing after the other. */
const STORY: readonly ((world: SiteWorld) => void)[] = [
  ({ hub }) => hub.assign('payments', 1, A),
  ({ hub }) => hub.assign('search', 1, B, { mode: 'audit' }),
  ({ hub }) => {
    hub.assign('payments', 2, CUTTING);
    hub.assign('search', 2, A);
  },
  ({ hub }) => hub.publish('target payments', hub.target('payments', assignedOf(1, A))),
  ({ hub }) => {
    hub.publish('spec payments 3', specOf('payments', 3, B));
    const guard = { forbidden: ['203.0.113.0/24'], widestCidr: null };
    hub.publish('target payments', hub.target('payments', assignedOf(3, B), { guard }));
  },
  ({ hub }) => hub.assign('billing', 1, A),
  ({ hub }) => hub.publish('target search', hub.target('search', assignedOf(2, A), { absent: true })),
  ({ hub }) => hub.assign('payments', 4, B),
];

type Kill = { effects: number; lastHappens: boolean };

/** The end of the story at a site whose process is killed after so many effects, again and again. */
async function endOf(kills: readonly Kill[]): Promise<object> {
  const world = new SiteWorld();
  const left = [...kills];
  world.hub.isReachable = () => !world.kernel.policies().includes('payments 2 enforce');
  const begin = async () => {
    world.killAfter = left.shift() ?? null;
    await world.boot();
    world.hub.connect();
  };
  const live = async () => {
    for (let i = 0; i < 8; i += 1) {
      await world.interval();
      if (!world.isDead) continue;
      await begin();
      i = 0;
    }
  };
  await begin();
  for (const event of STORY) {
    event(world);
    await live();
  }
  world.killAfter = null;
  await live();
  const report = await world.interval();
  await world.stop();
  return {
    inForce: world.kernel.policies(),
    policies: report?.policies.map(({ name, generation, phase, live: isLive, seen }) => ({
      name,
      generation,
      phase,
      isLive,
      seen,
    })),
    specs: [...world.disk.keys()].filter((name) => name.startsWith('policy/spec/')).sort(),
  };
}

it('a kill at any effect ends in the same state as none', async () => {
  const undisturbed = await endOf([]);
  expect(undisturbed).toMatchObject({ inForce: ['billing 1 enforce', 'payments 4 enforce'] });
  const kill = fc.record({ effects: fc.integer({ min: 1, max: 60 }), lastHappens: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(kill, { minLength: 1, maxLength: 12 }), async (kills) => {
      expect(await endOf(kills)).toEqual(undisturbed);
    }),
    { numRuns: 60 },
  );
});
