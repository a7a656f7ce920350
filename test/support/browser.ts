/** The distribution's Chromium, controlled like a person would: by what is on the screen. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const CHROMIUM = '/usr/bin/chromium';
const NO_NETLINK = join(import.meta.dirname, '../../build/no-netlink.so');
/** The time limit for anything that a person waits for, in milliseconds. */
const PATIENCE = 60_000;

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the page: those of scripts, and what its policy has refused. */
  readonly faults: string[];
}

export async function openBrowser(): Promise<Browser> {
  // Tests run as root, for whom Chromium's own sandbox does not start.
  const env = { ...process.env, LD_PRELOAD: NO_NETLINK } as Record<string, string>;
  return await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: false, env });
}

/** A new browser profile. */
export async function visit(browser: Browser, scheme: 'dark' | 'light' = 'dark'): Promise<Visit> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    colorScheme: scheme,
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript/i.test(message.text()))
      faults.push(message.text());
  });
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, context, faults, [Symbol.asyncDispose]: () => context.close() };
}

interface Axe {
  run(): Promise<{
    readonly violations: readonly {
      readonly id: string;
      readonly nodes: readonly { readonly html: string }[];
    }[];
  }>;
}

/** axe finds no accessibility problem. Its script is not part of the page, so the page's policy does not apply to it. */
export async function assertAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: Axe }).axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`,
    );
  });
  assert.deepEqual(found, [], page.url());
}
