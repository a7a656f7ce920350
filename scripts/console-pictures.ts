/**
 * Takes the pictures of the web console that the documentation shows: `console-pictures.ts DIRECTORY`, on a host of its own
 * (test/support/own-host.sh), against the real service with real containers.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { serveOnLoopback } from '../src/web-console/loopback-server.ts';
import { openBrowser, visit } from '../test/support/browser.ts';
import { Operator } from '../test/support/operator.ts';
import { containerOn, importShellImage } from '../test/support/shell-image.ts';
import { TestHost } from '../test/support/test-host.ts';

const [directory = 'docs/console'] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });

async function terminal(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Open a terminal' }).click();
  await page.getByText('Attached', { exact: true }).waitFor();
  await page.keyboard.type('ls -l /fractal/resourceMappings\n');
  await page.locator('.xterm-rows').getByText('hostPort_for_my_32262_tcp').waitFor();
}

await using host = await TestHost.open();
await importShellImage(host.docker);
const root = host.newRoot();
const service = await host.start({ env: { ROOT: root } }).ready();
const browser = await openBrowser();
for (const scheme of ['dark', 'light'] as const) {
  const { server, url } = await serveOnLoopback(join(root, 'run/ecs-host-service/api.sock'), 0);
  await using one = await visit(browser, scheme);
  const { page } = one;
  const take = (name: string) => page.screenshot({ path: join(directory, `${name}-${scheme}.png`) });
  await page.goto(url);
  await page.getByText('Live', { exact: true }).waitFor();
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) ids.push(await containerOn(root));
  await page
    .getByRole('link', { name: ids[3]?.slice(0, 12) as string })
    .first()
    .waitFor();
  await take('overview');
  if (scheme === 'dark') {
    const origin = new URL(url).origin;
    await page.goto(`${origin}/console/#/containers`);
    await page.getByRole('row').nth(4).waitFor();
    await take('containers');
    await page.goto(`${origin}/console/#/containers/${ids[0]}`);
    await page.getByRole('heading', { name: 'Life' }).waitFor();
    await take('container');
    await terminal(page);
    await take('terminal');
  }
  for (const id of ids) await new Operator(root).ask('POST', `/v1/containers/${id}/stop`);
  server.closeAllConnections();
  server.close();
}
await browser.close();
await service.stop();
