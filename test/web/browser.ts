import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { ROOT } from '../parts/process.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

class MissingPart extends Error {
  readonly code = 'missing-part';
}

function findChromium(): string {
  const folders = ['/usr/bin', ...(process.env.PATH ?? '').split(delimiter)];
  for (const name of NAMES)
    for (const folder of folders) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here.
      }
    }
  throw new MissingPart('Chromium is not installed; on Debian: apt-get install chromium');
}

type Screen = { width: number; height: number; theme: 'light' | 'dark' };
export const DESKTOP: Screen = { width: 1280, height: 800, theme: 'light' };
export const PHONE: Screen = { width: 390, height: 844, theme: 'light' };

/** A browser of the test's own, with a profile of its own. */
export class Browser {
  readonly #profile: string;
  readonly #context: BrowserContext;
  /** What pages complained of: exceptions, and violations of the content security policy. */
  readonly complaints: string[] = [];

  private constructor(profile: string, context: BrowserContext) {
    this.#profile = profile;
    this.#context = context;
  }

  static async launch(): Promise<Browser> {
    const executablePath = findChromium();
    const profile = mkdtempSync(join(tmpdir(), 'plumbline-browser-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      args: FLAGS,
      viewport: null,
      // The hub's certificate is its own; that it is checked by pin is another test's business.
      ignoreHTTPSErrors: true,
    });
    return new Browser(profile, context);
  }

  async page(screen: Screen): Promise<Page> {
    const page = await this.#context.newPage();
    await this.show(page, screen);
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) this.complaints.push(message.text());
    });
    return page;
  }

  async show(page: Page, { width, height, theme }: Screen): Promise<void> {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
  }

  /** Forgets who is signed in. */
  async forget(): Promise<void> {
    await this.#context.clearCookies();
  }

  async close(): Promise<void> {
    await this.#context.close();
    rmSync(this.#profile, { recursive: true, force: true });
  }
}

/** Serious and critical findings of axe, as "rule: what it is about". */
export async function axeFindings(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

/** Kept for people to look at, in test/.output/page. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = join(ROOT, 'test/.output/page');
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
