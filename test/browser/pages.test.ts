/** The other pages of the web console, and what holds for every page, in a browser. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { assertAccessible } from '../support/browser.ts';
import { ConsoleSite, sees } from '../support/console-site.ts';
import { RUNS } from '../support/node-site.ts';
import { containerOn } from '../support/shell-image.ts';
import { until } from '../support/site.ts';

let site: ConsoleSite;
before(async () => {
  site = await ConsoleSite.open();
});
after(() => site[Symbol.asyncDispose]());
afterEach(() => site.leavePages());

test("the nodes' pages show their plan, output and history, and lock and restart them", async () => {
  const image = site.registry.addScript('web', RUNS);
  const web = { name: 'web', image, update: { healthyAfter: 0.5 } };
  site.nodes.write([web]);
  await site.nodes.until('web', 'running');
  const page = await site.signedIn('#/nodes');
  await page.getByRole('row', { name: /web running/ }).waitFor();
  await page.getByText('There is nothing to do').waitFor();
  await page.getByRole('button', { name: 'Lock updates …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Lock' }).click();
  await page.getByRole('definition').getByText('locked', { exact: true }).waitFor();
  site.nodes.write([{ ...web, environment: { CHANGED: 'yes' } }]);
  await page.getByRole('region', { name: 'History' }).getByText(/lock/).first().waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Unlock updates …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Unlock' }).click();
  await page.getByRole('definition').getByText('allowed', { exact: true }).waitFor();

  const before = (await site.nodes.view('web')).container;
  await until('the node is replaced', async () => {
    const { container, state } = await site.nodes.view('web');
    return state === 'running' && container !== before;
  });
  await page.getByRole('link', { name: 'web', exact: true }).first().click();
  await page.getByLabel('Output of the container').getByText('began').first().waitFor();
  await page.getByRole('button', { name: 'Restart …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await page.getByRole('region', { name: 'History' }).getByText('asked to restart').first().waitFor();
  const replaced = page.getByRole('region', { name: 'Replaced containers', exact: true });
  await replaced.getByRole('row', { name: `${before?.slice(0, 12)} ` }).waitFor();
  await site.nodes.until('web', 'running');
  await assertAccessible(page);
});

test("a node's page shows its output and a terminal in it", async () => {
  const image = site.registry.addScript('shell', `/bin/busybox ln -s busybox /bin/sh; ${RUNS}`);
  const node = { name: 'shell', image, update: { healthyAfter: 0.5 } };
  const others = JSON.parse(readFileSync(site.nodes.file, 'utf8')).nodes;
  site.nodes.write([...others, node]);
  await site.nodes.until('shell', 'running');
  const page = await site.signedIn('#/nodes/shell');
  const output = await site.signedIn('#/nodes/shell');
  await output.getByLabel('Output of the container').getByText('began').first().waitFor();
  await page.getByRole('link', { name: 'Open a terminal' }).click();
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /[#$] /);
  await page.keyboard.type("echo in $HOSTNAME; echo outp''ut > /proc/1/fd/1\n");
  await sees(page, /in shell/);
  await output.getByLabel('Output of the container').getByText('output').first().waitFor();
  await assertAccessible(page);
  await page.keyboard.type('exit 3\n');
  await page.getByText('The program has exited with exit code 3.').waitFor();
  site.nodes.write(others);
  await site.nodes.until('shell', 'unknown');
});

test('in light colours, every page fits a narrow window and is accessible', async () => {
  const id = await containerOn(site.root);
  const { page } = await site.visit('', 'light');
  await page.setViewportSize({ width: 360, height: 740 });
  await assertFits(page);
  await site.signIn(page);
  const pages = [
    ['overview', 'Overview'],
    ['containers', 'Containers'],
    [`containers/${id}`, `Container ${id.slice(0, 12)}`],
    ['nodes', 'Nodes'],
    ['nodes/web', 'Node web'],
    ['events', 'Events'],
    ['create', 'Create a container'],
    ['nowhere', 'Nothing here'],
    [`containers/${id}/terminal`, 'Terminal'],
  ] as const;
  for (const [hash, title] of pages) {
    await page.goto(`${site.origin}/console/#/${hash}`);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    if (title === 'Terminal') await page.getByText('Attached', { exact: true }).waitFor();
    await assertFits(page);
  }
  site.nodes.write([]);
  await site.nodes.until('web', 'unknown');
  await site.goneOf(id);
});

/** Asserts that no part of the page is outside the window, and that axe finds no problem. */
async function assertFits(page: Page): Promise<void> {
  const root = 'document.documentElement';
  const beyond = await page.evaluate(`${root}.scrollWidth - ${root}.clientWidth`);
  assert.equal(beyond, 0, `${page.url()} is wider than the window`);
  await assertAccessible(page);
}

/** @returns the sum of the page's layout shifts, after everything on it is painted */
async function moved(page: Page): Promise<number> {
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  return await page.evaluate<number>('moves.reduce((sum, { value }) => sum + value, 0)');
}

test('nothing on a page moves while it loads', async () => {
  const id = await containerOn(site.root);
  const { page } = await site.visit();
  await page.addInitScript(`
    globalThis.moves = [];
    const note = ({ value, sources, hadRecentInput }) => {
      if (!hadRecentInput) moves.push({ value, what: sources.map(({ node }) => node?.textContent?.slice(0, 40)) });
    };
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: 'layout-shift', buffered: true });
  `);
  await site.signIn(page);
  for (const [hash, last] of [
    ['overview', 'Check again'],
    ['containers', id.slice(0, 12)],
    [`containers/${id}`, 'docker container'],
    ['nodes', 'There is nothing to do'],
    ['events', 'Nothing has happened since'],
    ['create', 'With a virtual console'],
  ] as const) {
    await page.goto('about:blank');
    await page.goto(`${site.origin}/console/#/${hash}`);
    await page.getByText(last).first().waitFor();
    // The limit of a good page by Web Vitals.
    assert.ok((await moved(page)) < 0.1, `${hash}: ${await page.evaluate<string>('JSON.stringify(moves)')}`);
  }
  await page.evaluate(`document.querySelector('main').style.paddingTop = '600px'`);
  await until('a move is noticed', async () => (await moved(page)) >= 0.1);
  await site.goneOf(id);
});

test('the keyboard alone leads to each page, and shows its keys', async () => {
  const page = await site.signedIn('#/create');
  for (const [key, title] of [
    ['o', 'Overview'],
    ['c', 'Containers'],
    ['m', 'Nodes'],
    ['e', 'Events'],
    ['n', 'Create a container'],
  ] as const) {
    await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    const focus = () => page.evaluate('document.activeElement.textContent');
    await until(`the focus is on ${title}`, async () => (await focus()) === title);
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).getByText('Find').waitFor();
  await assertAccessible(page);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('events appear as they happen, and a pause holds them back', async () => {
  const page = await site.signedIn('#/events');
  await page.getByText('Nothing has happened since').waitFor();
  const id = await containerOn(site.root);
  await page
    .getByRole('link', { name: id.slice(0, 12) })
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await site.goneOf(id);
  await page.getByText(/Paused; [1-9]\d* more have come/).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('an operator stopped it').first().waitFor();
  await assertAccessible(page);
  await page.getByLabel('Filter').fill('operator');
  await page.getByText(/^1 of \d+$/).waitFor();
  assert.match(page.url(), /#\/events\?find=operator$/);
  await page.getByLabel('Filter').fill('nothing like this');
  await page.getByText('No event fits this filter.').waitFor();
});
