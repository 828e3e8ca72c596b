import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../parts/process.ts';
import { type RunningCli, runCli, scratchDir, startCli } from './run-cli.ts';
import { type StandInHub, startStandInHub, TOKEN } from './stand-in-hub.ts';

const NOW_MS = 1_700_000_000_000;
const ENTER_SCREEN = '\u001b[?1049h';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
let hub: StandInHub;
beforeEach(async () => {
  hub = await startStandInHub(undefined, NOW_MS);
});
afterEach(() => hub.stop());

function start(argv: string[], size?: { columns: number; rows: number }): RunningCli {
  const dataDir = scratchDir(onTestFinished);
  const running = startCli(argv, {
    env: { url: hub.url, token: TOKEN, dataDir },
    nowMs: NOW_MS,
    ...(size && { size }),
  });
  onTestFinished(async () => {
    running.interrupt();
    await running.exit;
  });
  return running;
}

/** The newest frame, line by line, without colours. */
function frame(running: RunningCli): string[] {
  const frames = running.out().split('\u001b[H');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal is sent
  return (frames.at(-1) ?? '').replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').split('\r\n');
}
const shows = (running: RunningCli, text: string | RegExp) =>
  until(
    `the screen shows ${text}`,
    () => frame(running).some((line) => line.match(text) !== null),
    30_000,
    () => frame(running).join('\n'),
  );
const [good, other] = [
  { state: 'green' as const, freshness: 'heard' as const, score: 96, reason: '' },
  { state: 'red' as const, freshness: 'heard' as const, score: 22, reason: 'link api is down' },
];
const siteAt = (index: number) => {
  const site = hub.sites[index];
  if (site === undefined) throw new Error(`there is no site ${index}`);
  return site;
};

describe('watch', () => {
  test('tells appearances, changes of state and removals, one a line', async () => {
    hub.sites[0] = { ...siteAt(0), ...good };
    const running = start(['watch']);
    await until('it watches', () => running.err().includes('Watching 12 sites'));
    const { id } = siteAt(0);
    hub.tell(hub.delta(2, [{ ...siteAt(0), ...good, cpu: 0.5 }]));
    hub.tell(hub.delta(3, [{ ...siteAt(0), ...other }]));
    hub.tell(hub.delta(4, [{ ...siteAt(0), ...good, id: 'new-site' }], [siteAt(1).id]));
    await until('three lines', () => running.out().split('\n').length > 3);
    expect(running.out().trimEnd().split('\n')).toEqual([
      `2023-11-14T22:13:20Z  ${id}  ● healthy → ■ failing  score 22  link api is down`,
      '2023-11-14T22:13:20Z  new-site  ● healthy  score 96',
      expect.stringMatching(new RegExp(`^2023-11-14T22:13:20Z {2}${siteAt(1).id} {2}.+ {2}removed$`)),
    ]);
    running.interrupt();
    expect(await running.exit).toBe(0);
  });

  test('comes back after a broken connection, and tells what changed meanwhile', async () => {
    hub.sites[0] = { ...siteAt(0), ...good };
    const running = start(['watch', '-o', 'json']);
    await until('it watches', () => running.err().includes('Watching'));
    hub.sites[0] = { ...siteAt(0), ...other };
    hub.cut();
    await until('the change is told', () => running.out().includes('\n'));
    expect(running.err()).toContain('Disconnected: ');
    expect(JSON.parse(running.out())).toMatchObject({
      site: siteAt(0).id,
      change: 'state',
      after: { score: 22 },
    });
  });

  test('a version that is skipped makes it ask again', async () => {
    const running = start(['watch']);
    await until('it watches', () => running.err().includes('Watching'));
    hub.tell(hub.delta(9, []));
    await until('it asks again', () => running.err().includes('skipped a change'));
    await until('it is back', () => hub.viewers === 1);
  });

  test('a hub that was never there is exit code 3', async () => {
    hub.away = true;
    const { code, err } = await runCli(['watch'], {
      env: { url: hub.url, token: TOKEN, dataDir: scratchDir(onTestFinished) },
    });
    expect(code).toBe(3);
    expect(err).toContain('503');
  });
});

describe('top', () => {
  test('prints a table once where there is no terminal', async () => {
    const running = start(['top']);
    expect(await running.exit).toBe(0);
    expect(running.out()).toMatch(/^SITE +KIND +STATE/);
    expect(running.out()).not.toContain('\u001b');
    expect(running.out().trimEnd().split('\n')).toHaveLength(13);
  });

  test('a token that is not known is refused, and the terminal is left as it was', async () => {
    const running = startCli(['top'], {
      env: { url: hub.url, token: 'wrong', dataDir: scratchDir(onTestFinished) },
      size: { columns: 80, rows: 24 },
    });
    expect(await running.exit).toBe(1);
    expect(running.out().endsWith(LEAVE_SCREEN)).toBe(true);
    expect(running.isRaw()).toBe(false);
    expect(running.err()).toContain('[unauthorized]');
  });

  test('fills the screen it has and no more, and follows its size', async () => {
    const running = start(['top'], { columns: 100, rows: 12 });
    await shows(running, /12 sites/);
    const fits = (columns: number, rows: number) =>
      frame(running).length <= rows && frame(running).every((line) => [...line].length <= columns);
    expect(fits(100, 12)).toBe(true);
    running.press('\r');
    await shows(running, /^kind /);
    for (const [columns, rows] of [
      [40, 8],
      [200, 50],
      [9, 3],
      [40, 10],
    ] as const) {
      running.resize({ columns, rows });
      expect([columns, rows, fits(columns, rows)]).toEqual([columns, rows, true]);
    }
    expect(frame(running).at(-1)).toMatch(/^12 shown/);
    expect(running.out()).toContain(ENTER_SCREEN);
    running.press('q');
    expect(await running.exit).toBe(0);
    expect(running.out().endsWith(LEAVE_SCREEN)).toBe(true);
    expect(running.isRaw()).toBe(false);
  });

  test('the worst site is on top, with a sign and a word beside the colour', async () => {
    for (const [i, site] of hub.sites.entries()) hub.sites[i] = { ...site, ...(i === 5 ? other : good) };
    const running = start(['top'], { columns: 100, rows: 20 });
    await shows(running, new RegExp(`■ failing +${siteAt(5).id}`));
    expect(frame(running)[4]).toContain(siteAt(5).id);
    running.press('sssss');
    await shows(running, 'sorted by name');
    expect(frame(running)[4]).toContain(hub.sites.map(({ id }) => id).sort()[0] ?? '');
    running.press('r');
    await shows(running, 'sorted by name, reversed');
  });

  test('a filter is part of a name, or a selector', async () => {
    const running = start(['top'], { columns: 100, rows: 20 });
    await shows(running, '12 shown');
    running.press('/tokyo\r');
    await shows(running, 'filter "tokyo"');
    expect(frame(running).filter((line) => line.includes('jp-'))).toHaveLength(2);
    running.press('\u001b/country=us\r');
    await shows(running, 'filter "country=us"');
    expect(frame(running).filter((line) => line.includes(' us-'))).toHaveLength(2);
    running.press('\u001b');
    await shows(running, '12 shown');
  });

  test('enter shows the chosen site in full, and arrows choose', async () => {
    const running = start(['top', '--sort', 'name'], { columns: 100, rows: 24 });
    await shows(running, '12 shown');
    const names = hub.sites.map(({ id }) => id).sort();
    running.press('\u001b[B\r');
    await shows(running, `plumbline explain site ${names[1]}`);
    running.press('?');
    await shows(running, 'this help');
  });

  test('a hub that goes away is a banner over old figures, and it comes back by itself', async () => {
    const running = start(['top'], { columns: 100, rows: 20 });
    await shows(running, '12 shown');
    hub.away = true;
    hub.cut();
    await shows(running, /DISCONNECTED for .*what is below is old/);
    await shows(running, '12 shown');
    hub.away = false;
    await shows(running, /^plumbline http/);
  });

  test('a site that went silent is unknown, in words', async () => {
    const running = start(['top'], { columns: 100, rows: 20 });
    await shows(running, '12 shown');
    const silent = { ...siteAt(0), state: 'unknown' as const, freshness: 'silent' as const, score: null };
    hub.tell(hub.delta(2, [silent]));
    await shows(running, new RegExp(`◇ silent +${silent.id} .*-`));
  });
});
