/** Containers in the web console, in a browser: from the form that creates one to its receipt. */

import assert from 'node:assert/strict';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { assertAccessible } from '../support/browser.ts';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { ConsoleSite, sees } from '../support/console-site.ts';
import { containerOn, SHELL_IMAGE } from '../support/shell-image.ts';
import { until } from '../support/site.ts';

const EXECUTABLE = join(import.meta.dirname, '../../build/ecs-host-service');

let site: ConsoleSite;
before(async () => {
  site = await ConsoleSite.open();
});
after(() => site[Symbol.asyncDispose]());
afterEach(() => site.leavePages());

test('a person makes a container, works in its terminal, watches it end, and reads its receipt', async () => {
  const page = await site.signedIn('#/create');
  await page.getByLabel('Image').fill(SHELL_IMAGE);
  await page.getByLabel('App').fill('demo');
  await page.getByRole('button', { name: 'Check whether it fits' }).click();
  await page.getByText('It fits: there is room for').waitFor();
  await page.getByLabel('Memory in MiB').fill('99000000');
  await page.getByRole('button', { name: 'Check whether it fits' }).click();
  await page.getByText('It does not fit: the host has no more memory.').waitFor();
  await page.getByLabel('Memory in MiB').fill('');
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { name: 'Life' }).waitFor();
  const id = /#\/containers\/([0-9a-f]{60})/.exec(page.url())?.[1] ?? '';
  await assertAccessible(page);

  await site.terminalIn(page, id);
  await page.keyboard.type("echo wo''rks $((6 * 7))\n");
  await sees(page, /works 42/);
  // The shell does not echo what arrives before it has started the program.
  await page.keyboard.type("echo be''gun; cat\n");
  await sees(page, /begun/);
  await page.keyboard.type('it reads\n');
  await sees(page, /it reads\s*it reads/);
  await page.keyboard.press('Control+c');
  await page.keyboard.type("echo af''ter\n");
  await sees(page, /after/);
  await page.setViewportSize({ width: 900, height: 700 });
  const size = async () => (await site.operator.get('/v1/terminals')).body.terminals[0].columns;
  await until('the terminal is narrower', async () => (await size()) < 110);
  await page.keyboard.type("yes 0123456789abcde | head -c 10000000; echo DO''NE\n");
  await sees(page, /DONE/);
  await assertAccessible(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  await page.reload();
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /DONE/);
  await page.keyboard.type('exit\n');
  await page.getByText('The program has exited with exit code 0.').waitFor();

  await page.goto(`${site.origin}/console/#/containers/${id}`);
  await page.getByRole('button', { name: 'Stop …' }).click();
  await page.getByRole('dialog').getByText('Its program gets SIGTERM').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await page.getByText('an operator stopped it').first().waitFor();
  await page.getByText(/^It ended/).waitFor();
  await page.getByRole('cell', { name: 'held', exact: true }).waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'kept for ten minutes, for its log' }).waitFor();
  await assertAccessible(page);
});

test('the overview shows the last hour, ended containers, saves that wait for S3, the agent, and what to do next', async () => {
  const page = await site.signedIn();
  await page.getByRole('img', { name: /^Containers: \d/ }).waitFor();
  await page.getByRole('img', { name: /^Processors: \d+ %/ }).waitFor();
  // The previous test has stopped its container.
  const ended = page.getByRole('region', { name: 'Ended and leaked' });
  await ended.getByText('operator', { exact: true }).waitFor();
  await page.getByText('Everything that was saved is in S3.').waitFor();
  await page.getByText('This service runs no ECS agent.').waitFor();
  const doctor = page.getByRole('region', { name: 'Doctor' });
  await doctor.getByText(/^→ /).first().waitFor();
  await ended.getByText('No leaks: the ledger, Docker and the kernel agree.').waitFor();
  await doctor.getByText(/checks are good/).click();
  await doctor.getByText(/docker: \d/).waitFor();
  await assertAccessible(page);
});

test('the page of a container shows its limits and its usage, and restores an earlier version of a user’s files', async () => {
  const furnished = async () => {
    const dockerId = await hostContainer(site.service);
    const id = await site.host.containerIdOf(dockerId);
    const port = await site.host.hostPort(dockerId);
    await startValues(site.service, port);
    await token(site.service, port);
    return id;
  };
  for (const text of ['first', 'second']) {
    const id = await furnished();
    const file = join(site.root, 'fractal', id, 'userConfigs/unpacked_configs/file');
    writeFileSync(file, text);
    chownSync(file, 1000, 1000);
    await site.goneOf(id);
  }
  const id = await furnished();
  const page = await site.signedIn(`#/containers/${id}`);
  const use = page.getByRole('region', { name: 'Limits and use' });
  await use
    .getByText(/^[\d.]+ .*of [\d.]+/)
    .first()
    .waitFor();
  await use.getByRole('meter', { name: 'Processes in use' }).waitFor();
  await page.getByRole('button', { name: 'Show the stored versions' }).click();
  const versions = page.getByRole('region', { name: "User's files" }).getByRole('listitem');
  await versions.nth(1).waitFor();
  await versions.first().getByText('current', { exact: true }).waitFor();
  await versions.nth(1).getByRole('button', { name: 'Restore …' }).click();
  await page.getByRole('dialog').getByText("The user's next container starts with version").waitFor();
  await assertAccessible(page);
  await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
  await versions.nth(1).getByText('current', { exact: true }).waitFor();
  assert.ok(!(await page.locator('main').textContent())?.includes('user@'), 'the user is not named');
  await site.goneOf(id);
});

test('the table of containers filters and sorts, and the address keeps its settings', async () => {
  const [one, other] = [await containerOn(site.root), await containerOn(site.root)];
  const page = await site.signedIn('#/containers');
  await page.getByRole('row').nth(2).waitFor();
  await assertAccessible(page);
  await page.keyboard.press('/');
  await page.keyboard.type(one.slice(0, 12));
  await page.getByText('1 of 2').waitFor();
  assert.match(page.url(), new RegExp(`find=${one.slice(0, 12)}`));
  await page.getByLabel('Find').fill('');
  await page.getByRole('button', { name: 'id', exact: true }).click();
  const ids = await page.getByRole('rowheader').allInnerTexts();
  assert.deepEqual(ids, [one, other].map((id) => id.slice(0, 12)).sort());
  await site.goneOf(one);
  await page.getByText('1 of 1').waitFor();
  await site.goneOf(other);
  await page.getByText('This host has no containers.').waitFor();
  await page.getByLabel('Find').fill(one.slice(0, 12));
  await page.getByRole('link', { name: 'look for the receipt' }).click();
  await page.getByRole('heading', { level: 1, name: `Container ${one.slice(0, 12)} gone` }).waitFor();
  await page.getByText(/^It ended .* an operator stopped it/).waitFor();
});

test('a thousand containers are shown, sorted and found', async () => {
  const id = await containerOn(site.root);
  const [model] = (await site.operator.get('/v1/containers')).body.containers;
  // It has ended, so no event adds it to the thousand.
  await site.goneOf(id);
  const { body } = await site.operator.get('/v1/containers');
  const containers = Array.from({ length: 1000 }, (_, i) => ({
    ...model,
    id: String(i).padStart(4, '0').padEnd(60, '0'),
    port: 30_000 - i,
  }));
  const { page } = await site.visit();
  await page.route(/\/v1\/containers\?/, (route) => route.fulfill({ json: { ...body, containers } }));
  await site.signIn(page);
  await page.goto(`${site.origin}/console/#/containers`);
  await page.getByText('1000 of 1000').waitFor();
  await page.getByRole('button', { name: 'port', exact: true }).click();
  await page.getByRole('rowheader').first().getByText('099900000000').waitFor();
  await page.getByLabel('Find').fill('29990');
  await page.getByText('1 of 1000').waitFor();
  await page.getByRole('rowheader').getByText('001000000000').waitFor();
});

test('a host drains from the console after a confirmation', async () => {
  const id = await containerOn(site.root);
  const page = await site.signedIn();
  await page.getByRole('button', { name: 'Drain this host …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await page.getByText('The host drains: it accepts no more containers').waitFor();
  const left = page.getByRole('list', { name: 'Still in use' });
  await left.getByRole('link', { name: id.slice(0, 12) }).waitFor();
  await assertAccessible(page);
  await site.goneOf(id);
});

test('the executable contains its own copy of the console', async () => {
  await site.service.ended();
  await site.start(EXECUTABLE);
  const page = await site.signedIn('#/containers');
  await page.getByText('This host has no containers.').waitFor();
});
