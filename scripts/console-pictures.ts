/**
 * Takes the pictures of the web console for the documentation: `console-pictures.ts DIRECTORY`. It runs on a host of
 * its own (test/support/own-host.sh), against the real service with real containers and nodes.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { NodeSpec } from '../managed-nodes/spec/node-spec.ts';
import { serveOnLoopback } from '../src/web-console/loopback-server.ts';
import { openBrowser, visit } from '../test/support/browser.ts';
import { NodeSite, RUNS } from '../test/support/node-site.ts';
import { Registry } from '../test/support/registry.ts';
import { containerOn, importShellImage } from '../test/support/shell-image.ts';
import { TestHost } from '../test/support/test-host.ts';

const [directory = 'docs/console'] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });

/** Milliseconds between samples of the service's history, and the number of samples that make a useful plot. */
const SAMPLE = 30_000;
const SAMPLES = 4;
const CONTAINERS = 6;

function nodeOf(name: string, image: string): NodeSpec {
  return { name, image, update: { healthyAfter: 1 } };
}

async function terminal(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Open a terminal' }).click();
  await page.getByText('Attached', { exact: true }).waitFor();
  await page.keyboard.type('ls -l /fractal/resourceMappings\n');
  await page.locator('.xterm-rows').getByText('hostPort_for_my_32262_tcp').waitFor();
}

await using host = await TestHost.open();
await importShellImage(host.docker);
await using registry = await Registry.open();
const site = new NodeSite(host);
const { root, operator } = site;
const image = registry.addScript('demo/node', RUNS);
const broken = registry.addScript('demo/broken', 'echo "cannot read the configuration"; exit 3');
const [relay, store] = [nodeOf('relay', image), nodeOf('store', image)];
site.write([relay, store]);
const service = await site.start({ INTERACTIVE: 'on' });
for (const name of ['relay', 'store']) await site.until(name, 'running');
site.write([relay, { ...store, image: broken }]);
await site.until('store', 'reverted');
const ids: string[] = [];
for (let i = 0; i < CONTAINERS; i++) {
  ids.push(await containerOn(root));
  if (i % 2 === 1) await operator.ask('POST', `/v1/containers/${ids.shift()}/stop`);
  if (i < SAMPLES) await pause(SAMPLE);
}
const browser = await openBrowser();
for (const scheme of ['dark', 'light'] as const) {
  const { server, url } = await serveOnLoopback(join(root, 'run/ecs-host-service/api.sock'), 0);
  await using one = await visit(browser, scheme);
  const { page } = one;
  const take = (name: string, fullPage = false) =>
    page.screenshot({ path: join(directory, `${name}-${scheme}.png`), fullPage });
  await page.goto(url);
  await page.getByText('Checked', { exact: false }).waitFor();
  await take('overview', true);
  if (scheme === 'dark') {
    const { origin } = new URL(url);
    const open = async (hash: string, heading: string) => {
      await page.goto(`${origin}/console/#/${hash}`);
      await page.getByRole('heading', { name: heading }).waitFor();
    };
    await open('containers', 'Containers');
    await page.getByRole('row').nth(ids.length).waitFor();
    await take('containers');
    await open('nodes', 'History');
    await page.getByRole('row').nth(2).waitFor();
    await take('nodes');
    await open(`containers/${ids[0]}`, 'Life');
    await page.getByText(/^\d\.\d\d$/).waitFor();
    await take('container', true);
    await terminal(page);
    await take('terminal');
  }
  server.closeAllConnections();
  server.close();
}
await browser.close();
for (const id of ids) await operator.ask('POST', `/v1/containers/${id}/stop`);
await service.stop();
await site.clear();
