import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { axeFindings, Browser, DESKTOP, PHONE, picture } from './browser.ts';

/** A hub with at least two sites that are heard, one of them called `site`, and no filter that hides them. */
type HubUnderTest = {
  url: string;
  /** Signs in once. */
  signInUrl: string;
  token: string;
  site: string;
  /** The policy of a rollout that it has. */
  rollout?: string;
  stop(): Promise<void>;
};

const SITE_LINK = '.site-link';

/** What a test works with; there once the suite has started. */
type Bench = {
  hub(): HubUnderTest;
  browser(): Browser;
  page(): Page;
  goto(path: string): Promise<void>;
};

/** What must hold of the page whatever hub is behind it; `name` names its pictures too. */
export function pageSuite(name: string, startHub: () => Promise<HubUnderTest>): void {
  describe(`the page on ${name}`, () => {
    let hub: HubUnderTest | undefined;
    let browser: Browser | undefined;
    let page: Page | undefined;
    function started<T>(part: T | undefined): T {
      if (part === undefined) throw new Error('the suite has not started');
      return part;
    }
    const bench: Bench = {
      hub: () => started(hub),
      browser: () => started(browser),
      page: () => started(page),
      goto: async (path) => void (await started(page).goto(started(hub).url + path)),
    };
    beforeAll(async () => {
      browser = await Browser.launch();
      hub = await startHub();
      page = await browser.page(DESKTOP);
    });
    afterAll(async () => {
      await browser?.close();
      await hub?.stop();
    });

    testSignIn(bench);
    testKeyboard(bench);
    testLooks(name, bench);
    test('nothing was thrown, and the content security policy was not violated', () => {
      expect(bench.browser().complaints).toEqual([]);
    });
  });
}

function testSignIn({ hub, browser, page, goto }: Bench): void {
  test('the one-time link signs in once, and its code does not stay in the address', async () => {
    await page().goto(hub().signInUrl);
    await page().waitForSelector(SITE_LINK);
    expect(page().url()).toBe(`${hub().url}/`);
    await browser().forget();
    await page().goto('about:blank');
    await page().goto(hub().signInUrl);
    await page().getByRole('alert').waitFor();
    expect(page().url()).toBe(`${hub().url}/signin`);
    expect(await axeFindings(page())).toEqual([]);
  });

  test('a token signs in, a wrong one is told', async () => {
    await goto('/');
    const field = page().getByLabel('Access token');
    await field.fill('wrong');
    await page().keyboard.press('Enter');
    await page().getByRole('alert').waitFor();
    await field.fill(hub().token);
    await page().keyboard.press('Enter');
    await page().waitForSelector(SITE_LINK);
  });
}

function testKeyboard({ hub, page, goto }: Bench): void {
  const focused = () => page().locator(':focus').textContent();
  const press = (key: string) => page().keyboard.press(key);

  test('by keyboard alone: to the filter, into the list, into a site and back to the same row', async () => {
    const { site } = hub();
    await goto('/');
    await page().waitForSelector(SITE_LINK);
    await press('/');
    await page().keyboard.type(site);
    await page().waitForURL(`**/?q=${site}`);
    await press('ArrowDown');
    await expect.poll(focused).toContain(site);
    await press('Enter');
    await page().waitForURL(`**/sites/${site}`);
    await page().waitForSelector('.panels');
    expect(await page().getByRole('heading', { level: 1 }).textContent()).toBe(site);
    await press('Escape');
    await page().waitForURL(`**/?q=${site}`);
    await expect.poll(focused).toContain(site);
    await press('Escape');
    await page().waitForURL(`${hub().url}/`);
  });

  test('arrows, j and k go from row to row; the filter is at hand on every page; ? helps', async () => {
    await goto('/?sort=site');
    await page().waitForSelector(SITE_LINK);
    const [first = '', second = ''] = await page().locator(SITE_LINK).allTextContents();
    await page().locator(SITE_LINK).first().focus();
    await press('j');
    await expect.poll(focused).toBe(second);
    await press('ArrowUp');
    await expect.poll(focused).toBe(first);
    await goto('/events');
    await page().waitForSelector('.masthead');
    await press('/');
    await page().waitForURL(`${hub().url}/`);
    await expect.poll(() => page().locator('#filter:focus').count()).toBe(1);
    await press('Escape');
    await press('?');
    await page().getByRole('dialog').waitFor();
    await press('Escape');
    await page().getByRole('dialog').waitFor({ state: 'hidden' });
  });

  test('the first thing that Tab reaches is the way to the content', async () => {
    await goto('/');
    await page().waitForSelector(SITE_LINK);
    await press('Tab');
    expect(await focused()).toBe('Skip to the content');
    await press('Enter');
    await expect.poll(() => page().locator('#content:focus').count()).toBe(1);
  });
}

function testLooks(name: string, { hub, browser, page, goto }: Bench): void {
  test('a chosen theme stays over a reload', async () => {
    await goto('/');
    const theme = () => page().locator('html').getAttribute('data-theme');
    const button = page().getByRole('button', { name: /Auto|Light|Dark/ });
    await button.click();
    await button.click();
    expect(await theme()).toBe('dark');
    await page().reload();
    expect(await theme()).toBe('dark');
    await button.click();
    expect(await theme()).toBeNull();
  });

  for (const screen of [DESKTOP, PHONE])
    for (const theme of ['light', 'dark'] as const) {
      const where = `${screen === PHONE ? 'phone' : 'desktop'}-${theme}`;
      test(`nothing serious for axe and nothing wider than the screen: ${where}`, async () => {
        await browser().show(page(), { ...screen, theme });
        for (const [what, path, ready] of [
          ['fleet', '/', SITE_LINK],
          ['site', `/sites/${hub().site}`, '.panels .ledger'],
          ['events', '/events', 'h1'],
          ['rollouts', '/rollouts', 'h1'],
          ...(hub().rollout === undefined
            ? []
            : [['rollout', `/rollouts/allowlist/${hub().rollout}`, '.stages'] as const]),
        ] as const) {
          await goto(path);
          await page().waitForSelector(ready);
          await picture(page(), `${name}-${what}-${where}`);
          expect(await axeFindings(page()), what).toEqual([]);
          const wide = await page().evaluate<number>('document.documentElement.scrollWidth');
          expect(wide, what).toBeLessThanOrEqual(screen.width);
        }
      });
    }
}
