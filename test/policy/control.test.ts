import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../../core/ports/store.ts';
import type { Table } from '../../core/ports/table.ts';
import { OPEN_END_MS } from '../../policy/membership.ts';
import {
  command,
  HOUR_MS,
  NOON,
  newSite,
  openParts,
  type Parts,
  secretHash,
  siteState,
  until,
  virtualSite,
} from './control-parts.ts';

let parts: Parts;
beforeEach(async () => {
  parts = await openParts();
});
afterEach(() => parts.close());

describe('commands', () => {
  it('are carried out once, however often they are delivered', async () => {
    await parts.control();
    const add = command(newSite('tokyo', { env: 'test' }));
    await parts.send(add, add);
    await until('the result', () => parts.resource('CommandResult', add.id) ?? false);
    await parts.send(add, command(newSite('osaka')));
    await until('the other site', () => parts.resource('Site', 'osaka') ?? false);
    expect(parts.resource('Site', 'tokyo').metadata.revision).toBe(1);
    expect(parts.resource('CommandResult', add.id).spec).toMatchObject({ ok: true, effect: 'created' });
    const added = await until('events', async () => {
      const events = await parts.events('site.added');
      return events.length >= 2 && events;
    });
    expect(added.map(({ site, by }) => `${site} by ${by}`).sort()).toEqual(['osaka by ada', 'tokyo by ada']);
  });

  it('tell their event also when control died between the change and the telling', async () => {
    const { store } = parts;
    const first = await parts.control({
      store: {
        start: () => store.start(),
        stop: () => store.stop(),
        query: (...given) => store.query(...given),
        derive: (...given) => store.derive(...given),
        insert: async (name, rows) => {
          if (JSON.stringify(rows).includes('site.added'))
            throw new StoreError('unavailable', 'away for this test');
          await store.insert(name, rows);
        },
      },
    });
    await parts.send(command(newSite('tokyo')));
    await until('the change', () => parts.resource('Site', 'tokyo') ?? false);
    await first.stop();
    expect(await parts.events('site.added')).toEqual([]);
    await parts.control();
    await until('the event', async () => (await parts.events('site.added')).length === 1);
    expect(parts.resource('Site', 'tokyo').metadata.revision).toBe(1);
  });

  it('are refused with a code, a remedy and an event', async () => {
    await parts.control();
    expect(await parts.ask(virtualSite('broken', 'env in (prod'))).toMatchObject({
      ok: false,
      code: 'invalid-selector',
      detail: expect.stringContaining('the parenthesis is not closed'),
    });
    expect(await parts.ask({ verb: 'delete', kind: 'Site', name: 'nowhere' })).toMatchObject({
      ok: false,
      code: 'not-found',
    });
    const refused = await until('events', async () => {
      const events = await parts.events('command.refused');
      return events.length === 2 && events;
    });
    expect(refused.map(({ message }) => message).join('\n')).toContain('plumbline get sites');
  });

  it('that can not be read are answered when they say which one they are, and disturb no other', async () => {
    await parts.control();
    await parts.log.append('commands', [
      { key: 'one', value: Buffer.from('not json') },
      { key: 'one', value: Buffer.from('{"id":"odd-one","by":"x","atMs":1,"do":{"verb":"explode"}}') },
    ]);
    expect(await parts.ask(newSite('tokyo'))).toMatchObject({ ok: true, effect: 'created' });
    expect(parts.resource('CommandResult', 'odd-one').spec).toMatchObject({
      ok: false,
      code: 'invalid-document',
    });
  });

  it('leave the newest 1,000 results', async () => {
    await parts.control();
    const many = Array.from({ length: 1_050 }, (_, i) =>
      command({ verb: 'delete', kind: 'Site', name: 'x' }, `c-${i}`),
    );
    await parts.send(...many);
    await until('the last result', () => parts.resource('CommandResult', 'c-1049') ?? false);
    await until('the oldest to go', () => parts.results() <= 1_000);
    expect(parts.results()).toBe(1_000);
    expect(parts.resource('CommandResult', 'c-49')).toBeUndefined();
    expect(parts.resource('CommandResult', 'c-50')).toBeDefined();
  });
});

describe('joining', () => {
  it('uses an invitation up for one installation, which may ask again', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo'));
    const join = (instance: string, secret = 's3cret') =>
      parts.ask({ verb: 'site.join', site: 'tokyo', secretHash: secretHash(secret), instance });
    expect(await join('machine-1', 'wrong')).toMatchObject({ code: 'unauthorized' });
    expect(await join('machine-1')).toMatchObject({ ok: true, effect: 'updated' });
    parts.clock.advance(2 * HOUR_MS);
    expect(await join('machine-1')).toMatchObject({ ok: true, effect: 'unchanged' });
    expect(await join('machine-2')).toMatchObject({ code: 'token-used' });
    expect(parts.resource('Site', 'tokyo').spec.join).toMatchObject({
      instance: 'machine-1',
      joinedAtMs: NOON,
    });
    expect(await parts.events('site.joined')).toHaveLength(1);
  });

  it('is open again by a new invitation, which is told as one', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.ask(newSite('tokyo', {}, { renew: true }));
    const [invited] = await until('the event', async () => {
      const events = await parts.events('site.invited');
      return events.length > 0 && events;
    });
    expect(invited).toMatchObject({
      site: 'tokyo',
      message: 'a new invitation for site tokyo; the key it had is void',
    });
    expect(await parts.events('site.added')).toHaveLength(1);
  });

  it('is too late after the invitation expired', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo'));
    parts.clock.advance(HOUR_MS + 1);
    expect(
      await parts.ask({
        verb: 'site.join',
        site: 'tokyo',
        secretHash: secretHash('s3cret'),
        instance: 'machine-1',
      }),
    ).toMatchObject({ code: 'token-expired', detail: expect.stringContaining('plumbline site token tokyo') });
  });
});

describe('silence', () => {
  it('is told once an episode, also over a restart, and so is its end', async () => {
    const first = await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.say(siteState('tokyo', NOON));
    await parts.ask(newSite('invited-only'));
    await parts.pass(30_000);
    expect(await parts.events('site.silent')).toEqual([]);
    await parts.pass(10_000);
    const [silent] = await until('the event', async () => {
      const events = await parts.events('site.silent');
      return events.length > 0 && events;
    });
    expect(silent).toMatchObject({ site: 'tokyo', at: NOON + 30_000 });
    await first.stop();
    parts.hearing.sinceMs = parts.clock.nowMs();
    parts.clock.advance(10_000);
    await parts.control();
    await parts.pass(50_000);
    expect(await parts.events('site.silent')).toHaveLength(1);
    await parts.say(siteState('tokyo', parts.clock.nowMs()));
    const [recovered] = await until('the end', async () => {
      const events = await parts.events('site.recovered');
      return events.length > 0 && events;
    });
    expect(recovered).toMatchObject({ site: 'tokyo', at: parts.clock.nowMs() });
    expect((await parts.events('site.silent')).map(({ site }) => site)).toEqual(['tokyo']);
  });

  it('of the hub is said once and blames no site', async () => {
    const first = await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.say(siteState('tokyo', NOON));
    await first.stop();
    parts.clock.advance(HOUR_MS);
    const back = parts.clock.nowMs();
    parts.hearing.sinceMs = back;
    await parts.control();
    const blind = await parts.events('hub.blind');
    expect(blind.map(({ at }) => at)).toEqual([NOON]);
    expect(parts.resource('HubStatus', 'hub').spec.blind).toEqual({ fromMs: NOON, toMs: back });
    // The aggregator may say that it has listened all along.
    parts.hearing.sinceMs = NOON;
    await parts.pass(20_000);
    expect(await parts.events('site.silent')).toEqual([]);
    expect(await parts.events('hub.blind')).toHaveLength(1);
    expect(await parts.events('hub.started')).toHaveLength(2);
  });
});

describe('membership', () => {
  it('reaches back for a new virtual site, follows labels, and ends when they do', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo', { env: 'prod' }));
    await parts.ask(newSite('osaka', { env: 'test' }));
    parts.clock.advance(10_000);
    await parts.ask(virtualSite('prod', 'env in (prod)'));
    await parts.historyOf('prod');
    expect(await parts.memberships('prod')).toEqual([{ site: 'tokyo', from: NOON, to: OPEN_END_MS }]);
    parts.clock.advance(10_000);
    await parts.ask({ verb: 'site.label', site: 'osaka', labels: { env: 'prod' } });
    await parts.ask({ verb: 'site.label', site: 'tokyo', labels: { env: 'none' } });
    const rows = await until('the change', async () => {
      const found = await parts.memberships('prod');
      return found.length === 2 && found.some(({ to }) => to < OPEN_END_MS) && found;
    });
    expect(rows).toEqual([
      { site: 'osaka', from: NOON + 20_000, to: OPEN_END_MS },
      { site: 'tokyo', from: NOON, to: NOON + 20_000 },
    ]);
  });

  it('looks at what a site says of itself under its prefix', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.ask(virtualSite('linux', 'discovered/os=linux'));
    await parts.historyOf('linux');
    expect(await parts.memberships('linux')).toEqual([]);
    parts.clock.advance(5_000);
    await parts.say(siteState('tokyo', parts.clock.nowMs(), { discovered: { os: 'linux' } }));
    const rows = await until('the member', async () => {
      const found = await parts.memberships('linux');
      return found.length > 0 && found;
    });
    expect(rows).toEqual([{ site: 'tokyo', from: NOON + 5_000, to: OPEN_END_MS }]);
  });

  it('goes on after a restart without opening anything again', async () => {
    const first = await parts.control();
    await parts.ask(newSite('tokyo', { env: 'prod' }));
    await parts.ask(newSite('osaka', { env: 'prod' }));
    await parts.ask(virtualSite('prod', 'env=prod'));
    await parts.historyOf('prod');
    await first.stop();
    parts.clock.advance(10_000);
    await parts.control();
    await parts.ask({ verb: 'delete', kind: 'Site', name: 'osaka' });
    const rows = await until('the end', async () => {
      const found = await parts.memberships('prod');
      return found.some(({ to }) => to < OPEN_END_MS) && found;
    });
    expect(rows).toEqual([
      { site: 'osaka', from: NOON, to: NOON + 10_000 },
      { site: 'tokyo', from: NOON, to: OPEN_END_MS },
    ]);
    expect(parts.backfilled).toEqual(['prod']);
  });

  it('of a name that is used anew does not overlap that of its former life', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo', { env: 'prod' }));
    await parts.ask(virtualSite('mine', 'env=other'));
    await parts.historyOf('mine');
    parts.clock.advance(10_000);
    await parts.ask(virtualSite('mine', 'env=prod'));
    await until('a member', async () => (await parts.memberships('mine'))[0]?.from === NOON + 10_000);
    parts.clock.advance(10_000);
    await parts.ask({ verb: 'delete', kind: 'VirtualSite', name: 'mine' });
    await until('the end', async () => (await parts.memberships('mine'))[0]?.to === NOON + 20_000);
    parts.clock.advance(10_000);
    await parts.ask(virtualSite('mine', 'env=prod'));
    const rows = await until('the new life', async () => {
      const found = await parts.memberships('mine');
      return found.some(({ to }) => to === OPEN_END_MS) && found;
    });
    expect(rows).toEqual([{ site: 'tokyo', from: NOON, to: OPEN_END_MS }]);
  });
});

describe('the role', () => {
  it('counts each closed minute from where it was', async () => {
    const first = await parts.control();
    expect(parts.counted).toEqual([]);
    await parts.pass(60_000);
    await until('the minute', () => parts.counted.length === 1);
    expect(parts.counted[0]).toEqual({ minutesThroughMs: NOON, dirtyThroughMs: 0 });
    await first.stop();
    expect(parts.resource('HubStatus', 'hub').spec.census.minutesThroughMs).toBe(NOON + 60_000);
  });

  it('ends for an owner that another has followed, which is told once', async () => {
    let fenced = 0;
    await parts.control({
      onFenced: () => {
        fenced++;
      },
    });
    await parts.control();
    parts.clock.advance(6_000);
    await until('the fencing', () => fenced === 1);
    expect(await parts.ask(newSite('tokyo'))).toMatchObject({ ok: true, effect: 'created' });
  });

  it('leaves no view open when it can not be taken up, and is free for the next one', async () => {
    const { table } = parts;
    let open = 0;
    const broken: Table = {
      start: () => table.start(),
      stop: () => table.stop(),
      claim: (role) => table.claim(role),
      write: (name, entries) => table.write(name, entries),
      view: async (name) => {
        const view = await table.view(name);
        open++;
        return {
          get: (key) => view.get(key),
          entries: () => {
            throw new Error('a mistake of this test');
          },
          size: view.size,
          onChange: (listener) => view.onChange(listener),
          close: async () => {
            open--;
            await view.close();
          },
        };
      },
    };
    await expect(parts.control({ table: broken })).rejects.toThrow('a mistake of this test');
    expect(open).toBe(0);
    await parts.control();
    expect(await parts.ask(newSite('tokyo'))).toMatchObject({ ok: true });
  });

  it('takes the state of a removed site away', async () => {
    await parts.control();
    await parts.ask(newSite('tokyo'));
    await parts.say(siteState('tokyo', NOON));
    const state = await parts.table.view('state');
    expect(state.size).toBe(1);
    await parts.ask({ verb: 'delete', kind: 'Site', name: 'tokyo' });
    await until('its state to go', () => state.size === 0);
    await state.close();
  });
});
