import type { Page } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SiteView } from '../../core/model/view.ts';
import { axeFindings, Browser, DESKTOP, PHONE, picture } from './browser.ts';
import { pageSuite } from './page-suite.ts';
import { StandIn } from './stand-in.ts';

pageSuite('stand-in', async () => {
  const standIn = new StandIn(40);
  await standIn.start();
  const site = standIn.sites.find((one) => one.state === 'orange')?.id ?? '';
  return {
    url: standIn.url,
    signInUrl: standIn.signInUrl,
    token: standIn.token,
    site,
    rollout: 'payments',
    stop: () => standIn.stop(),
  };
});

describe('the page when things go wrong, on a stand-in for the hub', () => {
  let standIn: StandIn;
  let browser: Browser;
  let page: Page;
  const phase = () => page.locator('html').getAttribute('data-phase');

  async function open(amount: number, screen = DESKTOP): Promise<void> {
    standIn = new StandIn(amount);
    await standIn.start();
    page = await browser.page(screen);
    await page.goto(standIn.signInUrl);
    await expect.poll(phase).toBe('live');
  }
  beforeEach(async () => {
    browser = await Browser.launch();
  });
  afterEach(async () => {
    await browser.close();
    await standIn.stop();
  });

  test('3,000 sites: few rows exist, the last is reached, and a change is seen', async () => {
    await open(3000);
    await page.waitForSelector('.site-link');
    expect(await page.locator('.site-link').count()).toBeLessThan(100);
    expect(await page.locator('table.sites').getAttribute('aria-rowcount')).toBe('3001');
    await page.evaluate('scrollTo(0, document.body.scrollHeight)');
    await page.locator('tr[aria-rowindex="3001"]').waitFor();
    await page.evaluate('scrollTo(0, 0)');
    const worst = page.locator('tbody .site-link').first();
    await worst.waitFor();
    const id = await worst.textContent();
    const [healthy] = standIn.sites.filter((site) => site.id === id);
    if (healthy === undefined) throw new Error('the first row is none of the sites');
    standIn.change([{ ...healthy, reason: 'something new' }]);
    await page.getByText('something new').waitFor();
    await picture(page, 'stand-in-3000');
  });

  test('back from a site deep in the list, its row has the focus and is in sight', async () => {
    await open(500);
    await page.waitForSelector('.site-link');
    for (let i = 0; i < 60; i++) await page.keyboard.press('j');
    const id = await page.locator(':focus').textContent();
    await page.keyboard.press('Enter');
    await page.waitForSelector('.panels');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.site-link:focus').textContent()).toBe(id);
    const box = await page.locator('.site-link:focus').boundingBox();
    expect(box?.y).toBeGreaterThan(0);
    expect(box?.y).toBeLessThan(DESKTOP.height);
  });

  test('a lost connection is said with the age of the data, nothing looks live, and it comes back by itself', async () => {
    await open(12);
    standIn.away = true;
    standIn.drop();
    const notice = page.locator('[data-notice=disconnected]');
    await notice.waitFor();
    expect(await notice.textContent()).toMatch(/as of \d\d:\d\d:\d\d, .* ago/);
    expect(await page.locator('tbody .state').first().textContent()).toContain('was ');
    expect(await page.locator('[data-announcer]').textContent()).toContain('Not connected');
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'stand-in-away');
    standIn.away = false;
    await expect.poll(phase, { timeout: 10_000 }).toBe('live');
    await notice.waitFor({ state: 'detached' });
  });

  test('a version that was skipped is asked for again', async () => {
    await open(12);
    const [site] = standIn.sites;
    if (site === undefined) throw new Error('no site');
    const before = standIn.subscriptions.length;
    standIn.change([{ ...site, reason: 'seen only after asking again' }], 3);
    await page.getByText('seen only after asking again').waitFor();
    expect(standIn.subscriptions.length).toBe(before + 1);
  });

  test('a filter goes to the hub and into the address, and half of one says where it is wrong', async () => {
    await open(40);
    await page.getByLabel('Filter').fill('env in (test');
    await page.getByText(/^character/).waitFor();
    expect(standIn.subscriptions).toEqual([{}]);
    await page.getByLabel('Filter').fill('env in (test)');
    await expect.poll(() => standIn.subscriptions.at(-1)).toEqual({ selector: 'env in (test)' });
    const expected = standIn.sites.filter((site) => site.labels.env === 'test').length;
    await expect.poll(() => page.locator('.site-link').count()).toBe(expected);
    await page.reload();
    await expect.poll(() => page.locator('.site-link').count()).toBe(expected);
    await page.getByLabel('Filter').fill('no such thing');
    await page.getByRole('button', { name: 'Show all sites' }).click();
    await page.getByText('40 sites', { exact: true }).waitFor();
  });

  test('a state and a virtual site are switches, and add up', async () => {
    await open(40);
    await page.getByRole('button', { name: /Healthy/ }).click();
    await page.getByRole('button', { name: /^prod/ }).click();
    const expected = (site: SiteView) => site.state === 'green' && site.virtualSites.includes('prod');
    await expect.poll(() => page.locator('.site-link').count()).toBe(standIn.sites.filter(expected).length);
    expect(page.url()).toContain('/?vs=prod&state=green');
  });

  test('a hub that was blind says so once; one that catches up says that', async () => {
    await open(12);
    standIn.hub = {
      ...standIn.hub,
      caughtUp: false,
      blind: { fromMs: Date.now() - 300_000, toMs: Date.now() - 200_000 },
    };
    await page.locator('[data-notice=blind]').getByText('1 min 40 s').waitFor();
    await page.getByText('The hub is catching up.').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await page.locator('[data-notice=blind]').waitFor({ state: 'detached' });
  });

  test('a hub that changes nothing of policy says so above the fleet and above rollouts, with what to do', async () => {
    await open(12);
    const trouble = { sinceMs: Date.now(), detail: 'policy is read-only: a site is ahead', remedy: 'run it' };
    const minor = { ...trouble, code: 'claim-implausible', severity: 'warning' } as const;
    standIn.hub = {
      ...standIn.hub,
      troubles: [{ ...trouble, code: 'read-only', severity: 'critical' }, minor],
    };
    const notice = page.locator('[data-notice=read-only]');
    await notice.getByText('What to do: run it').waitFor();
    await page.getByRole('link', { name: 'Rollouts' }).click();
    await notice.waitFor();
    expect(await page.locator('[data-notice=claim-implausible]').count()).toBe(0);
    standIn.hub = { ...standIn.hub, troubles: [] };
    await notice.waitFor({ state: 'detached' });
  });

  test('a session that ends leads to the sign-in, and shows nothing of the fleet any more', async () => {
    await open(12);
    standIn.endSessions();
    standIn.drop();
    await page.getByLabel('Access token').waitFor();
    expect(await page.locator('.site-link').count()).toBe(0);
  });

  test('an empty fleet says what to do next, also on a phone', async () => {
    await open(0, PHONE);
    standIn.virtualSites = [];
    await page.getByText('plumbline site add jp-tokyo-1 --label env=test').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'stand-in-empty-phone');
  });

  test('rows do not swap under the pointer', async () => {
    await open(12);
    const ids = () => page.locator('.site-link').allTextContents();
    const before = await ids();
    await page.locator('.site-link').nth(3).hover();
    await page.mouse.move(600, 400);
    const last = standIn.sites.find((site) => site.id === before.at(-1));
    if (last === undefined) throw new Error('no last row');
    standIn.change([{ ...last, state: 'red', score: 1, reason: 'now the worst of all' }]);
    await page.getByText('now the worst of all').waitFor();
    expect(await ids()).toEqual(before);
    await expect.poll(async () => (await ids())[0], { timeout: 15_000 }).toBe(last.id);
  });

  test('a rollout shows its stages, what the traffic did, and every site with verdict and reasons; its list leads there', async () => {
    await open(12);
    await page.getByRole('link', { name: 'Rollouts' }).click();
    await page.getByRole('link', { name: 'payments' }).click();
    await page.waitForURL('**/rollouts/allowlist/payments');
    const stages = page.getByRole('list', { name: 'Stages' }).getByRole('listitem');
    await expect.poll(() => stages.count()).toBe(3);
    expect(await stages.allTextContents()).toEqual([
      expect.stringMatching(/1 testaudit.*passed3 of 3 sites passed/),
      expect.stringMatching(
        /2 test.*soaking.*inconclusive.*1 of 3 sites passed, 41 hits, 2 unexpected denies/,
      ),
      expect.stringMatching(/3 prod.*waiting.*not begun/),
    ]);
    await page.getByText('fraud.example (198.51.100.7)').waitFor();
    const row = page.getByRole('row', { name: /test-c/ });
    expect(await row.textContent()).toMatch(/inconclusive.*no traffic.*applied, generation 3/);
    expect(await page.getByRole('row', { name: /test-a/ }).textContent()).toMatch(/410430.*2\.4 s/);
    // One time for what was judged, of the rules and of the sites; what is refused is of now.
    const asOf = await page.getByText(/^As judged, as of /).allTextContents();
    expect([asOf.length, new Set(asOf).size]).toEqual([2, 1]);
    await page.getByText('Now, by the newest reports of all sites.').waitFor();
    const done = page.getByRole('region', { name: 'Who did what' }).last();
    expect(await done.locator('tbody tr').allTextContents()).toEqual([
      expect.stringMatching(
        /kim \(approver\)promoted it to stage 2, test \(enforce\), and so approved it there$/,
      ),
      expect.stringMatching(/ada \(author\)applied generation 3$/),
    ]);
    await page.keyboard.press('Escape');
    await page.waitForURL('**/rollouts');
  });

  test('on a phone wide tables stack their cells under the titles of their columns, and nothing is cut off', async () => {
    await open(12, PHONE);
    await page.goto(`${standIn.url}/rollouts/allowlist/payments`);
    await page.getByRole('row', { name: /test-c/ }).waitFor();
    const titles = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.stacks td')].map((cell) => getComputedStyle(cell, '::before').content)",
    );
    expect(titles).toEqual(expect.arrayContaining(['"Verdict"', '"Reasons"', '"Did what"']));
    for (const table of await page.locator('.scrolling').all())
      expect(await table.evaluate((one) => one.scrollWidth - one.clientWidth)).toBeLessThanOrEqual(0);
    expect(await axeFindings(page)).toEqual([]);
  });

  test('a rollout that was rolled back says so once, and shows the hits as they were judged', async () => {
    await open(12);
    standIn.rollouts = standIn.rollouts.map((rollout) => {
      const reasons = ['1 of 3 sites failed, 0 may: test-b'];
      const stages = rollout.stages.map((stage, i) =>
        i === rollout.stage ? { ...stage, phase: 'rolled-back' as const, reasons } : stage,
      );
      return { ...rollout, phase: 'rolled-back', reason: `its stage failed: ${reasons[0]}`, stages };
    });
    await page.goto(`${standIn.url}/rollouts/allowlist/payments`);
    await page
      .getByText(/^As judged, as of /)
      .first()
      .waitFor();
    expect(await page.getByRole('row', { name: /payments-api/ }).textContent()).toContain('41');
    expect(await page.getByText('1 of 3 sites failed').count()).toBe(1);
  });

  test('who may moves it, rolling back asks once more, and a refusal is told', async () => {
    await open(12);
    await page.goto(`${standIn.url}/rollouts/allowlist/payments`);
    await page.getByRole('button', { name: 'Roll back' }).click();
    await page.getByRole('button', { name: 'Leave it' }).click();
    expect(standIn.moves).toEqual([]);
    await page.getByRole('button', { name: 'Roll back' }).click();
    await page.getByRole('button', { name: 'Roll back now' }).click();
    await page.getByText('there is nothing to roll back').waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('paused by admin').waitFor();
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    expect(standIn.moves).toEqual(['rollback payments', 'pause payments']);
    expect(await axeFindings(page)).toEqual([]);
  });

  test('a viewer sees no buttons; a lost connection leaves none that can be pressed', async () => {
    await open(12);
    await page.goto(`${standIn.url}/rollouts/allowlist/payments`);
    const pause = page.getByRole('button', { name: 'Pause' });
    await pause.waitFor();
    standIn.away = true;
    standIn.drop();
    await expect.poll(() => pause.isDisabled()).toBe(true);
    standIn.away = false;
    standIn.role = 'viewer';
    await page.reload();
    await page.waitForSelector('.stages');
    await expect.poll(phase).toBe('live');
    expect(await page.locator('.rollout-actions').count()).toBe(0);
    standIn.role = 'approver';
    standIn.rollouts = standIn.rollouts.map((rollout) => ({ ...rollout, phase: 'awaiting-promotion' }));
    await page.reload();
    await page.getByRole('button', { name: 'Promote' }).waitFor();
    expect(await page.locator('.rollout-actions button').allTextContents()).toEqual(['Promote']);
  });

  test('without any rollout the page says how one begins', async () => {
    await open(12);
    standIn.rollouts = [];
    await page.goto(`${standIn.url}/rollouts`);
    await page.getByText('plumbline apply -f examples/payments.yaml').waitFor();
    await page.goto(`${standIn.url}/rollouts/allowlist/none`);
    await page.getByText('There is no rollout of an allowlist of this name.').waitFor();
  });
});
