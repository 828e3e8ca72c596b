import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Store, StoreError } from '../../core/ports/store.ts';
import { NOON, newSite, openParts, type Parts, secretHash, siteState, until } from './control-parts.ts';

let parts: Parts;
beforeEach(async () => {
  parts = await openParts();
});
afterEach(() => parts.close());

/** A store that keeps what it is given, and says of events of one kind that it may not have. */
function uncertain(store: Store) {
  const failing = {
    kind: '',
    count: 0,
    /** Resolves when it has failed a few times more, also for what was decided from now on. */
    async again() {
      const before = failing.count;
      await until('more failures', () => failing.count >= before + 10);
    },
    store: {
      start: () => store.start(),
      stop: () => store.stop(),
      query: (...given) => store.query(...given),
      derive: (...given) => store.derive(...given),
      insert: async (name, rows) => {
        await store.insert(name, rows);
        if (failing.kind === '' || !JSON.stringify(rows).includes(`"${failing.kind}"`)) return;
        failing.count++;
        throw new StoreError('unavailable', 'it may be there');
      },
    } satisfies Store,
  };
  return failing;
}

describe('silence', () => {
  it('is told once also when the store has what it did not confirm, and so is its end', async () => {
    const failing = uncertain(parts.store);
    const first = await parts.control({ store: failing.store });
    await parts.ask(newSite('tokyo'));
    await parts.say(siteState('tokyo', NOON));
    failing.kind = 'site.silent';
    await parts.pass(40_000);
    await failing.again();
    // What would be decided anew now would be of another time.
    parts.hearing.sinceMs = NOON + 5_000;
    await failing.again();
    failing.kind = '';
    const told = () => parts.events('site.silent');
    await until('the event', async () => (await told()).length > 0);
    await parts.pass(1_000);
    expect((await told()).map(({ at }) => at - NOON)).toEqual([30_000]);

    failing.kind = 'site.recovered';
    const backAtMs = parts.clock.nowMs();
    await parts.say(siteState('tokyo', backAtMs));
    await failing.again();
    await parts.pass(5_000);
    await parts.say(siteState('tokyo', parts.clock.nowMs()));
    await failing.again();
    await first.stop();
    parts.clock.advance(5_000);
    await parts.say(siteState('tokyo', parts.clock.nowMs()));
    await parts.control();
    await parts.pass(5_000);
    expect((await parts.events('site.recovered')).map(({ at }) => at)).toEqual([backAtMs]);
    expect(await told()).toHaveLength(1);
  });

  it('of a removed site is over with it, and a new site of its name begins anew', async () => {
    const first = await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.say(siteState('tokyo', NOON));
    await parts.pass(40_000);
    await until('the silence', async () => (await parts.events('site.silent')).length === 1);
    await parts.ask({ verb: 'delete', kind: 'Site', name: 'tokyo' });
    await parts.ask(newSite('tokyo'));
    const join = { secretHash: secretHash('s3cret'), instance: 'machine-1' };
    await parts.ask({ verb: 'site.join', site: 'tokyo', ...join });
    const joinedAtMs = parts.clock.nowMs();
    await parts.pass(10_000);
    await first.stop();
    await parts.control();
    await parts.pass(10_000);
    expect(await parts.events('site.recovered')).toEqual([]);
    expect(await parts.events('site.silent')).toHaveLength(1);
    await parts.pass(20_000);
    const silences = await until('its own silence', async () => {
      const events = await parts.events('site.silent');
      return events.length === 2 && events;
    });
    expect(silences[1]).toMatchObject({ site: 'tokyo', at: joinedAtMs + 30_000 });
    expect(silences[1]?.message).toContain('was never heard');
    expect(await parts.events('site.recovered')).toEqual([]);
  });
});
