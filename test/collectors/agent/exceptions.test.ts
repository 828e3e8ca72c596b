import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowing } from './scripted-hub.ts';
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

const flow = (address: string, connections = 1) => ({
  workload: 'checkout',
  direction: 'egress' as const,
  address,
  port: 443,
  protocol: 'TCP' as const,
  connections,
});
const restart = async () => {
  await world.stop();
  await world.boot();
  world.hub.connect();
};

describe('what only an exception let through', () => {
  const [X, Y] = ['203.0.113.9', '198.51.100.7'];
  const kindAt = async (name: string, address = X) =>
    (await world.status(name))?.denied.find((one) => one.address === address)?.kind;
  const absent = (name: string) => world.hub.publish(`target ${name}`, world.hub.target(name, null));
  /** New connections in this interval. */
  const passes = async (...addresses: string[]) => {
    for (const address of addresses) world.kernel.flow({ ...flow(address), verdict: 'allowed' });
    await world.interval();
  };
  const isDenied = (...names: string[]) => {
    for (const name of names) world.kernel.deny(name, flow(X));
  };
  /** What was denied belongs to one revision. */
  const change = async (work: () => void) => {
    work();
    await world.interval();
    world.kernel.flows = world.kernel.flows.filter(({ verdict }) => verdict === 'allowed');
  };
  const withdrawn = async () => {
    await change(() => absent('second'));
    isDenied('payments');
    expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  };
  const again = async () => {
    await change(() => world.hub.assign('second', 2, allowing('192.0.2.0/24')));
    isDenied('second', 'payments');
  };

  it.each([
    ['an address', []],
    ['a name', ['registry.example']],
  ])('was taken away on purpose with it, and is no baseline: %s', async (_what, hosts) => {
    for (const host of hosts) world.names.set(host, [X]);
    const named = { ...A, egress: hosts.map((host) => ({ name: 'registry', to: [`https://${host}`] })) };
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('second', 1, hosts.length === 0 ? B : named));
    await passes(X);
    await restart();
    await world.interval();
    await withdrawn();
    expect(await kindAt('payments')).toBe('removed');
    await again();
    expect(await kindAt('second')).toBe('new');
    expect(await kindAt('payments')).toBe('removed');
    expect(await world.status('payments')).toMatchObject({ unexpectedDenies: 0 });
  });

  it('was taken away on purpose also where the next generation takes its place at once', async () => {
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('second', 1, B));
    await passes(X);
    await again();
    expect(await kindAt('second')).toBe('removed');
    expect(await kindAt('payments')).toBe('removed');
  });

  it('stays a baseline where the workload got there before anything held it back', async () => {
    await passes(X);
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('second', 1, B));
    await passes(X);
    await withdrawn();
    expect(await kindAt('payments')).toBe('unexpected');
    await restart();
    await again();
    expect(await kindAt('second')).toBe('unexpected');
  });

  it('stays one where it was seen only once something held it back, and may be from before', async () => {
    world.kernel.flow({ ...flow(X), verdict: 'allowed' });
    world.hub.assign('payments', 1, A);
    world.hub.assign('second', 1, B);
    await world.interval();
    await withdrawn();
    expect(await kindAt('payments')).toBe('unexpected');
    await again();
    expect(await kindAt('second')).toBe('unexpected');
  });

  it('is none where the others had a rule for it, too, and stays a baseline', async () => {
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('second', 1, B));
    await passes(Y);
    await change(() => absent('second'));
    await change(() => {
      absent('payments');
      world.hub.assign('search', 1, allowing('192.0.2.0/24'));
    });
    world.kernel.deny('search', flow(Y));
    expect(await kindAt('search', Y)).toBe('unexpected');
  });

  it('stays a baseline where nobody who held it back does so any more', async () => {
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('second', 1, B));
    await passes(X);
    await change(() => absent('payments'));
    await change(() => absent('second'));
    await change(() => world.hub.assign('search', 1, A));
    isDenied('search');
    expect(await kindAt('search')).toBe('unexpected');
  });

  it('stays one while an audit is all that would hold it back', async () => {
    await change(() => world.hub.assign('payments', 1, A, { mode: 'audit' }));
    await change(() => world.hub.assign('second', 1, B));
    await passes(X);
    await change(() => absent('second'));
    isDenied('payments');
    expect(await kindAt('payments')).toBe('unexpected');
  });

  it.each([
    ['is no baseline for the one after, where only the newer let it through', false],
    ['is one, where it got there before', true],
  ])('of a newer generation that was rolled back to an older %s', async (_what, isBefore) => {
    if (isBefore) await passes(X);
    await change(() => world.hub.assign('payments', 1, A));
    await change(() => world.hub.assign('payments', 2, B));
    await passes(X);
    await change(() => world.hub.assign('payments', 1, A));
    isDenied('payments');
    expect(await kindAt('payments')).toBe(isBefore ? 'unexpected' : 'removed');
    await change(() => world.hub.assign('payments', 3, allowing('192.0.2.0/24')));
    isDenied('payments');
    expect(await kindAt('payments')).toBe(isBefore ? 'unexpected' : 'new');
  });
});
