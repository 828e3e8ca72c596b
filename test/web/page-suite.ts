import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { axeFindings, Browser, DESKTOP, PHONE, picture } from './browser.ts';

/** A hub with at least two sites that are heard, one of them called `site`, and no filter that hides them. */
export type HubUnderTest = {
  url: string;
  /** Signs in once. */
  signInUrl: string;
  token: string;
  site: string;
  stop(): Promise<void>;
};

const SITE_LINK = '.site-link';

/** What must hold of the page whatever hub is behind it; `name` names its pictures too. */
export function pageSuite(name: string, startHub: () => Promise<HubUnderTest>): void {
  describe(`the page on ${name}`, () => {
    let hub: HubUnderTest | undefined;
    let browser: Browser | undefined;
    let page: Page;
    const url = (path: string) => `${hub?.url}${path}`;
    const heading = () => page.getByRole('heading', { level: 1 });

    beforeAll(async () => {
      browser = await Browser.launch();
      hub = await startHub();
      page = await browser.page(DESKTOP);
    });
    afterAll(async () => {
      await browser?.close();
      await hub?.stop();
    });

    test('the one-time link signs in once, and its code does not stay in the address', async () => {
      await page.goto(hub?.signInUrl ?? '');
      await page.waitForSelector(SITE_LINK);
      expect(page.url()).toBe(url('/'));
      await browser?.forget();
      await page.goto('about:blank');
      await page.goto(hub?.signInUrl ?? '');
      await page.getByRole('alert').waitFor();
      expect(page.url()).toBe(url('/signin'));
      expect(await axeFindings(page)).toEqual([]);
    });

    test('a token signs in, a wrong one is told', async () => {
      await page.goto(url('/'));
      await page.getByLabel('Access token').fill('wrong');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      await page.getByLabel('Access token').fill(hub?.token ?? '');
      await page.keyboard.press('Enter');
      await page.waitForSelector(SITE_LINK);
    });

    test('by keyboard alone: to the filter, into the list, into a site and back to the same row', async () => {
      await page.goto(url('/'));
      await page.waitForSelector(SITE_LINK);
      await page.keyboard.press('/');
      await page.keyboard.type(hub?.site ?? '');
      await page.waitForURL(`**/?q=${hub?.site}`);
      await page.keyboard.press('ArrowDown');
      await expect.poll(() => page.locator(':focus').textContent()).toContain(hub?.site);
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/sites/${hub?.site}`);
      await page.waitForSelector('.panels');
      expect(await heading().textContent()).toBe(hub?.site);
      await page.keyboard.press('Escape');
      await page.waitForURL(`**/?q=${hub?.site}`);
      await expect.poll(() => page.locator(':focus').textContent()).toContain(hub?.site);
      await page.keyboard.press('Escape');
      await page.waitForURL(url('/'));
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
    });

    test('the first thing that Tab reaches is the way to the content', async () => {
      await page.goto(url('/'));
      await page.waitForSelector(SITE_LINK);
      await page.keyboard.press('Tab');
      expect(await page.locator(':focus').textContent()).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      await expect.poll(() => page.locator('#content:focus').count()).toBe(1);
    });

    test('a chosen theme stays over a reload', async () => {
      await page.goto(url('/'));
      const theme = () => page.locator('html').getAttribute('data-theme');
      const button = page.getByRole('button', { name: /Auto|Light|Dark/ });
      await button.click();
      await button.click();
      expect(await theme()).toBe('dark');
      await page.reload();
      expect(await theme()).toBe('dark');
      await button.click();
      expect(await theme()).toBeNull();
    });

    for (const screen of [DESKTOP, PHONE])
      for (const theme of ['light', 'dark'] as const) {
        const where = `${screen === PHONE ? 'phone' : 'desktop'}-${theme}`;
        test(`nothing serious for axe and nothing wider than the screen: ${where}`, async () => {
          await browser?.show(page, { ...screen, theme });
          for (const [what, path, ready] of [
            ['fleet', '/', SITE_LINK],
            ['site', `/sites/${hub?.site}`, '.panels .ledger'],
            ['events', '/events', 'h1'],
          ] as const) {
            await page.goto(url(path));
            await page.waitForSelector(ready);
            await picture(page, `${name}-${what}-${where}`);
            expect(await axeFindings(page), what).toEqual([]);
            const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
            expect(wide, what).toBeLessThanOrEqual(screen.width);
          }
        });
      }

    test('nothing was thrown, and the content security policy was not violated', () => {
      expect(browser?.complaints).toEqual([]);
    });
  });
}
