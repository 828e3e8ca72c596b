import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowing, assignedOf } from './scripted-hub.ts';
import { SiteWorld } from './site-world.ts';

const A = allowing('198.51.100.0/24');
let world: SiteWorld;

beforeEach(async () => {
  world = new SiteWorld();
  await world.boot();
  world.hub.connect();
  await world.interval();
});
afterEach(() => world.stop());

const restart = async () => {
  await world.stop();
  await world.boot();
  world.hub.connect();
};

describe('connections from before', () => {
  const connection = (remoteAddress: string, localPort = 40_000) => ({
    direction: 'egress' as const,
    protocol: 'TCP' as const,
    localAddress: '192.0.2.5',
    localPort,
    remoteAddress,
    remotePort: 443,
  });

  it('that would be denied now are listed, and cut where the policy says so', async () => {
    world.connections.push(
      connection('198.51.100.7'),
      connection('203.0.113.9'),
      connection('203.0.113.9', 65_400),
    );
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    const listed = (await world.status('payments'))?.established;
    expect(listed).toEqual({ total: 1, some: ['checkout to 203.0.113.9 port 443/TCP'] });
    expect(world.cut).toEqual([]);
    world.hub.assign('payments', 2, A, { established: 'cut' });
    await world.intervals(2);
    expect(world.cut).toEqual([connection('203.0.113.9')]);
    expect((await world.status('payments'))?.established.some).toEqual([
      'checkout to 203.0.113.9 port 443/TCP: cut',
    ]);
  });

  it('that were cut are told of for as long as the generation that cut them is in force', async () => {
    world.connections.push(connection('203.0.113.9'));
    world.hub.assign('payments', 1, A, { established: 'cut' });
    await world.intervals(8);
    world.connections.push(connection('203.0.113.8', 40_001));
    await world.intervals(8);
    expect((await world.status('payments'))?.established).toEqual({
      total: 2,
      some: ['checkout to 203.0.113.9 port 443/TCP: cut', 'checkout to 203.0.113.8 port 443/TCP'],
    });
    world.connections.splice(0);
    world.hub.assign('payments', 2, A);
    await world.intervals(8);
    expect((await world.status('payments'))?.established).toEqual({ total: 0, some: [] });
  });

  it('are cut right after a change, and at no later look or start: their names may have other addresses by then', async () => {
    world.hub.assign('payments', 1, A, { established: 'cut' });
    await world.intervals(2);
    world.connections.push(connection('203.0.113.9'));
    await world.intervals(8);
    await restart();
    await world.intervals(8);
    expect(world.cut).toEqual([]);
    expect((await world.status('payments'))?.established.some).toEqual([
      'checkout to 203.0.113.9 port 443/TCP',
    ]);
  });

  it('are cut too where a policy in force is told to, though nothing else of it changes', async () => {
    world.connections.push(connection('203.0.113.9'));
    world.hub.assign('payments', 1, A);
    await world.intervals(2);
    const target = world.hub.target('payments', assignedOf(1, A, { established: 'cut' }));
    world.hub.publish('target payments', target);
    await world.intervals(2);
    expect(world.cut).toEqual([connection('203.0.113.9')]);
    await world.intervals(8);
    expect(world.cut.length).toBe(1);
  });
});
