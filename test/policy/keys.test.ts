import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Delivery } from '../../api/gateway/delivery.ts';
import { Documents } from '../../api/gateway/documents.ts';
import type { Envelope } from '../../core/model/signed.ts';
import type { PolicyLink } from '../../core/ports/policy-link.ts';
import { SiteWorld } from '../collectors/agent/site-world.ts';
import { until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, SITES } from './policy-parts.ts';

const DAY_MS = 86_400_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A site's own agent, with what the gateway would send it: on a channel that stays, and on fresh ones. */
class Site {
  readonly #name: string;
  readonly #hub: Hub;
  readonly #documents: Documents;
  readonly #world = new SiteWorld();
  #meet: Parameters<PolicyLink['listen']> | null = null;
  #channel: Delivery | null = null;
  #had: string[] = [];
  #told = new Set<string>();
  /** Targets that the site has, and that a channel had not spoken of when it said that this was all. */
  readonly leftOut: string[] = [];

  constructor(name: string, hub: Hub, documents: Documents) {
    this.#name = name;
    this.#hub = hub;
    this.#documents = documents;
  }

  async start(): Promise<void> {
    const link: PolicyLink = {
      tell: () => undefined,
      listen: (holdings, hear) => {
        this.#meet = [holdings, hear];
      },
      confirm: async () => ({ ok: true }),
    };
    await this.#world.boot({ site: this.#name, link, clock: this.#hub.clock });
  }

  stop = () => this.#world.stop();

  /** A fresh channel, which takes the place of the one before. */
  connect(): void {
    const [holdings] = this.#meet ?? [];
    if (holdings === undefined) throw new Error('it does not listen');
    const { targets, specs } = holdings();
    const have = { type: 'have' as const, targets: [...targets], specs: [...specs] };
    this.#channel = new Delivery(this.#name, have, this.#documents);
    this.#had = targets.map(({ key }) => key).filter((key) => key.includes('/Allowlist/'));
    this.#told = new Set();
    this.serve();
  }

  note(targets: ReadonlySet<string> | 'all'): void {
    this.#channel?.note(targets);
  }

  /** Everything that is due on its channel. */
  serve(): void {
    for (let chunk = this.#channel?.next() ?? null; chunk !== null; chunk = this.#channel?.next() ?? null) {
      const envelopes = chunk.documents.map(
        ({ bytes }): Envelope => JSON.parse(Buffer.from(bytes).toString('utf8')),
      );
      for (const { key } of chunk.documents) this.#told.add(key);
      if (chunk.whole) this.leftOut.push(...this.#had.filter((key) => !this.#told.has(key)));
      this.#meet?.[1]({ envelopes, whole: chunk.whole });
    }
  }

  async part() {
    const part = await this.#world.interval();
    if (part === null) throw new Error('it says nothing of policies');
    return part;
  }
}

type Hub = Awaited<ReturnType<typeof openPolicyParts>>;

describe('a fleet while its hub signs what it said before anew', () => {
  let hub: Hub;
  let documents: Documents;
  /** One has its channel all the time, one gets a fresh one at each change, one is away. */
  let sites: { steady: Site; restless: Site; away: Site };
  let stopWatching: () => void;

  beforeAll(async () => {
    hub = await openPolicyParts();
    await hub.control();
    await hub.settle();
    documents = new Documents(hub.views, quiet);
    const [steady, restless, away] = Object.keys(SITES).map((name) => new Site(name, hub, documents));
    if (steady === undefined || restless === undefined || away === undefined) throw new Error('three sites');
    sites = { steady, restless, away };
    for (const site of Object.values(sites)) await site.start();
    stopWatching = documents.onChange((concerns) => {
      for (const { targets } of concerns) steady.note(targets);
      steady.serve();
      restless.connect();
    });
    await hub.ask(allowlist('payments', ['one.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    await hub.reach('completed', 1);
    await hub.ask(allowlist('ledger', ['ledger.example']));
    await hub.reach('awaiting-promotion', 0, 'ledger');
    await hub.ask({ verb: 'delete', kind: 'Allowlist', name: 'ledger' });
    await until('the deletion', () => hub.target('ledger')?.absent === true);
    for (const site of Object.values(sites)) site.connect();
  });
  afterAll(async () => {
    stopWatching();
    for (const site of Object.values(sites)) await site.stop();
    documents.close();
    await hub.close();
  });

  const isContent = ([key]: [string, ...unknown[]]) => !key.startsWith('default/Keys/');
  const signers = () =>
    new Set(
      [...hub.views.targets.entries(), ...hub.views.specs.entries()]
        .filter(isContent)
        .map(([, bytes]) => String(JSON.parse(Buffer.from(bytes).toString('utf8')).keyId)),
    );

  async function rotate(revoke: boolean): Promise<void> {
    const [before] = signers();
    expect(await hub.ask({ verb: 'keys.rotate', revoke })).toMatchObject({ ok: true });
    await until('everything by the new key', () => signers().size === 1 && !signers().has(before ?? ''));
  }

  async function expectContent(who: readonly (keyof typeof sites)[]): Promise<void> {
    const { version } = hub.target('payments') ?? {};
    for (const one of who) {
      const { refusals, policies } = await sites[one].part();
      expect([one, refusals, sites[one].leftOut]).toEqual([one, [], []]);
      const payments = policies.find(({ name }) => name === 'payments');
      expect(payments).toMatchObject({ seen: version, phase: 'applied', live: true });
    }
  }

  it('with another key, and the one before counting on: nobody refuses anything', async () => {
    const before = hub.target('payments');
    await rotate(false);
    expect(hub.target('payments')).toEqual(before);
    await expectContent(['steady', 'restless']);
  });

  it('with another key alone: nobody refuses anything, at whatever moment its channel is made', async () => {
    await rotate(true);
    await expectContent(['steady', 'restless']);
    for (const site of [sites.steady, sites.restless]) site.connect();
    await expectContent(['steady', 'restless']);
  });

  it('since its time runs out: it is another version, and everybody takes it', async () => {
    const before = hub.target('payments');
    const gone = hub.target('ledger');
    if (before === null || gone === null) throw new Error('no targets');
    for (let day = 0; day < 4; day += 1) hub.clock.advance(DAY_MS);
    await until('new times', () => (hub.target('ledger')?.expiresAtMs ?? 0) > gone.expiresAtMs);
    await until('new times', () => (hub.target('payments')?.expiresAtMs ?? 0) > before.expiresAtMs);
    expect(hub.target('payments')).toMatchObject({
      version: { n: before.version.n + 1 },
      assignments: before.assignments,
    });
    expect(hub.rollout()?.spec.version).toEqual(hub.target('payments')?.version);
    await expectContent(['steady', 'restless']);
  });

  it('who was away during all of it follows from key to key', async () => {
    sites.away.connect();
    await expectContent(['away']);
  });
});
