import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { counts, FAR, FAR_6, FAR_TOO, flows, PROBES, policy, World, wanted } from './world.ts';

let world: World;
beforeAll(async () => {
  world = new World();
  await world.open();
});
afterAll(() => world.remove());
beforeEach(() => world.renew());
afterEach(() => world.enforcer.withdraw());

const web = { name: 'web', to: [{ cidr: `${FAR}/32`, ports: ['443/TCP'] }] };

test('what a rule lets through passes and is counted once, though it fits two peers', async () => {
  const twice = {
    name: 'web',
    to: [
      { cidr: '10.77.0.0/24', except: [`${FAR_TOO}/32`], ports: ['440-450/TCP', '443/UDP'] },
      `https://${FAR}`,
      { cidr: '0.0.0.0/0', ports: ['443/TCP'] },
    ],
  };
  await world.enforcer.apply(wanted([policy('payments', [twice])]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 444)).toBe('connected');
  expect((await world.checkout.act({ deed: 'send', address: FAR, port: 443 })).outcome).toBe('answered');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: 3, denied: 0 } });
  expect(flows(observed)).toEqual([
    `allowed checkout egress TCP ${FAR} 443 x1`,
    `allowed checkout egress TCP ${FAR} 444 x1`,
    `allowed checkout egress UDP ${FAR} 443 x1`,
  ]);
  expect(observed.differences).toEqual([]);
  expect(observed.fullSets).toEqual([]);
});

test('what no rule lets through is refused at once and listed with where it went', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web])]));
  const refused = await world.checkout.act({ deed: 'connect', address: FAR, port: 80 });
  expect(refused.outcome).toBe('ECONNREFUSED');
  expect(refused.tookMs).toBeLessThan(2000);
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('ECONNREFUSED');
  expect((await world.checkout.act({ deed: 'send', address: FAR, port: 80 })).outcome).toMatch(
    /^E(PERM|ACCES|HOSTUNREACH)$/,
  );
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: 0, denied: 3 } });
  expect(flows(observed)).toEqual([
    `denied checkout egress TCP ${FAR} 80 x1`,
    `denied checkout egress TCP ${FAR_TOO} 443 x1`,
    `denied checkout egress UDP ${FAR} 80 x1`,
  ]);
});

test('an exception in a network is refused', async () => {
  const rule = { name: 'net', to: [{ cidr: '10.77.0.0/24', except: [`${FAR_TOO}/32`], ports: ['443/TCP'] }] };
  await world.enforcer.apply(wanted([policy('payments', [rule])]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('ECONNREFUSED');
});

test('an allowlist without a rule denies everything', async () => {
  await world.enforcer.apply(wanted([policy('nothing', [])]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('ECONNREFUSED');
  expect(counts(await world.enforcer.observe())).toEqual({ nothing: { denied: 1 } });
});

test('two policies on one workload add up, and both count what fits both', async () => {
  const both = { name: 'both', to: [`https://${FAR}`, `tcp://${FAR}:444`] };
  await world.enforcer.apply(wanted([policy('one', [web]), policy('two', [both])]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 444)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ one: { web: 1, denied: 1 }, two: { both: 2, denied: 1 } });
  expect(flows(observed).filter((flow) => flow.startsWith('denied'))).toEqual([
    `denied checkout egress TCP ${FAR} 80 x1`,
  ]);
});

test('other users of the host are untouched, and so is the collector where it is exempt', async () => {
  await world.enforcer.apply(wanted([policy('nothing', [])]));
  for (const who of [world.other, world.root]) {
    expect(await world.connect(who, FAR, 80)).toBe('connected');
    expect((await who.act({ deed: 'send', address: FAR, port: 80 })).outcome).toBe('answered');
  }
  expect(flows(await world.enforcer.observe())).toEqual([]);
});

test('a collector under the user of a workload reaches its hub and nothing else', async () => {
  const workloads = [
    { name: 'checkout', labels: { app: 'checkout' }, binding: { kind: 'user', uid: 30_003 } } as const,
  ];
  await world.enforcer.apply(wanted([policy('nothing', [])], { workloads }));
  expect(await world.connect(world.collector, FAR, 444)).toBe('connected');
  expect(await world.connect(world.collector, FAR, 443)).toBe('ECONNREFUSED');
});

test('audit refuses nothing, and counts and lists what it would have refused', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web], { mode: 'audit' })]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: 1, denied: 1 } });
  expect(flows(observed)).toEqual([
    `allowed checkout egress TCP ${FAR} 443 x1`,
    `allowed checkout egress TCP ${FAR} 80 x1`,
    `audited checkout egress TCP ${FAR} 80 x1`,
  ]);
});

test('an audit allows nothing that an enforced policy refuses, and finds nothing wrong with what one allows', async () => {
  const other = { name: 'other', to: [`tcp://${FAR}:444`] };
  const last = { name: 'last', to: [`tcp://${FAR_TOO}:444`] };
  await world.enforcer.apply(
    wanted([
      policy('firm', [web]),
      policy('trial', [other], { mode: 'audit' }),
      policy('more', [last], { mode: 'audit' }),
    ]),
  );
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 444)).toBe('ECONNREFUSED');
  expect(counts(await world.enforcer.observe())).toEqual({
    firm: { web: 1, denied: 1 },
    trial: { other: 1, denied: 0 },
    more: { last: 0, denied: 1 },
  });
});

test("the site's own probes are counted apart, and are in no list", async () => {
  await world.enforcer.apply(wanted([policy('payments', [web])]));
  expect(await world.connect(world.checkout, FAR, 443, PROBES.from)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80, PROBES.to)).toBe('ECONNREFUSED');
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: '1/1', denied: '0/1' } });
  expect(flows(observed)).toEqual([`allowed checkout egress TCP ${FAR} 443 x1`]);
});

test('under audit probes are counted apart too', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web], { mode: 'audit' })]));
  expect(await world.connect(world.checkout, FAR, 80, PROBES.from)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 443, PROBES.to)).toBe('connected');
  expect(counts(await world.enforcer.observe())).toEqual({ payments: { web: '0/1', denied: '0/1' } });
});

test('connections from before go on, and only a new one meets the policy', async () => {
  // Made while the kernel tracked nothing here, and while it did.
  await world.checkout.act({ deed: 'connect', address: FAR, port: 80, hold: 'untracked' });
  await world.enforcer.apply(wanted([]));
  await world.checkout.act({ deed: 'connect', address: FAR, port: 80, hold: 'tracked' });
  await world.enforcer.apply(wanted([policy('nothing', [])], { revision: 2 }));
  for (const hold of ['untracked', 'tracked'])
    expect((await world.checkout.act({ deed: 'echo', hold })).outcome, hold).toBe('echoed');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
});

test('a datagram without an answer counts once, however often it is repeated', async () => {
  const quiet = { name: 'quiet', to: [{ cidr: `${FAR}/32`, ports: ['9000/UDP'] }] };
  await world.enforcer.apply(wanted([policy('payments', [quiet])]));
  await world.checkout.act({ deed: 'repeat', address: FAR, port: 9000 });
  expect(counts(await world.enforcer.observe())).toEqual({ payments: { quiet: 1, denied: 0 } });
});

test('IPv6 is held to the policy like IPv4, and its neighbours are still found', async () => {
  const six = { name: 'six', to: [{ cidr: 'fd77::/64', ports: ['443/TCP'] }, `udp://[${FAR_6}]:444`] };
  await world.enforcer.apply(wanted([policy('payments', [six])]));
  await world.root.act({ deed: 'send', address: FAR_6, port: 80 });
  expect(await world.connect(world.checkout, FAR_6, 443)).toBe('connected');
  expect((await world.checkout.act({ deed: 'send', address: FAR_6, port: 444 })).outcome).toBe('answered');
  expect(await world.connect(world.checkout, FAR_6, 80)).toMatch(/^E(CONNREFUSED|ACCES)$/);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('ECONNREFUSED');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { six: 2, denied: 2 } });
  expect(flows(observed)).toContain(`denied checkout egress TCP ${FAR_6} 80 x1`);
});

test('a workload behind an interface is held to egress and ingress, and its answers pass', async () => {
  const rules = policy('vm', [web], {
    spec: {
      workloads: 'app=vm',
      ingress: [{ name: 'in', from: [{ cidr: `${FAR}/32`, ports: ['80/TCP'] }] }],
    },
  });
  await world.enforcer.apply(wanted([rules]));
  expect(await world.connect(world.inside, FAR, 443)).toBe('connected');
  expect(await world.connect(world.inside, FAR, 80)).toBe('ECONNREFUSED');
  expect(await world.connect(world.distant, '10.78.0.2', 80)).toBe('connected');
  expect(await world.connect(world.distant, '10.78.0.2', 443)).toBe('ECONNREFUSED');
  expect(await world.connect(world.inside, FAR_6, 443)).toMatch(/^E(CONNREFUSED|ACCES)$/);
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ vm: { web: 1, in: 1, denied: 3 } });
  expect(flows(observed)).toEqual([
    `allowed vm egress TCP ${FAR} 443 x1`,
    `allowed vm ingress TCP ${FAR} 80 x1`,
    `denied vm egress TCP ${FAR} 80 x1`,
    `denied vm egress TCP ${FAR_6} 443 x1`,
    `denied vm ingress TCP ${FAR} 443 x1`,
  ]);
  expect(observed.differences).toEqual([]);
});

test('an egress policy leaves ingress alone', async () => {
  await world.enforcer.apply(wanted([policy('vm', [], { spec: { workloads: 'app=vm' } })]));
  expect(await world.connect(world.distant, '10.78.0.2', 443)).toBe('connected');
  expect(await world.connect(world.inside, FAR, 443)).toBe('ECONNREFUSED');
});

test("of a stranger's source port nothing follows: behind an interface there are no probes", async () => {
  await world.enforcer.apply(wanted([policy('vm', [web], { spec: { workloads: 'app=vm' } })]));
  expect(await world.connect(world.inside, FAR, 443, PROBES.from)).toBe('connected');
  expect(counts(await world.enforcer.observe())).toEqual({ vm: { web: 1, denied: 0 } });
});

test('workloads that no policy selects are watched and let through', async () => {
  await world.enforcer.apply(wanted([]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.inside, FAR, 80)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(flows(observed)).toEqual([
    `allowed checkout egress TCP ${FAR} 443 x1`,
    `allowed vm egress TCP ${FAR} 80 x1`,
  ]);
});

test('a mark that others put on packets is as it was', async () => {
  world.nft(
    'add table inet marks; add counter inet marks seen; ' +
      'add chain inet marks before { type filter hook output priority -5; }; ' +
      'add rule inet marks before meta skuid 30001 meta mark set 0x99; ' +
      'add chain inet marks after { type filter hook output priority 5; }; ' +
      'add rule inet marks after meta skuid 30001 meta mark 0x99 tcp flags syn counter name seen',
  );
  await world.enforcer.apply(wanted([policy('payments', [web])]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(world.nft('list counter inet marks seen')).toContain('packets 1 ');
});

test('what stays on the machine is not judged', async () => {
  await world.root.act({ deed: 'listen', address: '127.0.0.1', port: 8080 });
  await world.enforcer.apply(wanted([policy('nothing', [])]));
  expect(await world.connect(world.checkout, '127.0.0.1', 8080)).toBe('connected');
  expect(counts(await world.enforcer.observe())).toEqual({ nothing: { denied: 0 } });
});
