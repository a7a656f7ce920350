/** The web console as people see it: in a browser, with the real service and real containers. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { assertAccessible } from '../support/browser.ts';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { ConsoleSite, sees } from '../support/console-site.ts';
import { call } from '../support/https.ts';
import { RUNS } from '../support/node-site.ts';
import { PortRelay } from '../support/port-relay.ts';
import { CONSOLE_TOKENS } from '../support/secrets.ts';
import { containerOn, SHELL_IMAGE } from '../support/shell-image.ts';
import { until } from '../support/site.ts';

const { operator: OPERATOR, next: NEXT_OPERATOR, viewer: VIEWER } = CONSOLE_TOKENS;
const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const EXECUTABLE = join(import.meta.dirname, '../../build/ecs-host-service');

let site: ConsoleSite;
before(async () => {
  site = await ConsoleSite.open();
});
after(() => site[Symbol.asyncDispose]());
afterEach(() => site.leavePages());

test('a wrong token is refused with an error that says what to do, and the right one signs in', async () => {
  const page = (await site.visit()).page;
  await page.getByLabel('Token').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('This token is not valid. Use the value of OPERATOR_TOKEN').waitFor();
  await assertAccessible(page);
  await page.getByLabel('Token').fill(OPERATOR);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  const [cookie] = await page.context().cookies();
  assert.ok(cookie);
  const { name, httpOnly, secure, sameSite, path } = cookie;
  assert.deepEqual(
    { name, httpOnly, secure, sameSite, path },
    { name: '__Host-ecs-host-service', httpOnly: true, secure: true, sameSite: 'Strict', path: '/' },
  );
  assert.ok(!JSON.stringify(cookie).includes(OPERATOR));
});

test('an answer from before the sign-in, which arrives late, does not end the session', async () => {
  const { page } = await site.visit();
  const held = Promise.withResolvers<void>();
  let asked = 0;
  await page.route('**/console/session', async (route) => {
    if (route.request().method() !== 'GET') return await route.continue();
    const response = await route.fetch();
    // The first answer shows the form. Later ones are from before the sign-in too.
    if (asked++ > 0) await held.promise;
    await route.fulfill({ response });
  });
  await page.reload();
  await until('the page asks twice who is signed in', () => asked > 1);
  await site.signIn(page);
  held.resolve();
  await page.unrouteAll({ behavior: 'wait' });
  await page.getByRole('link', { name: 'Containers' }).click();
  await page.getByRole('heading', { level: 1, name: 'Containers' }).waitFor();
});

test("a session of the console is valid only for the console's own pages, and ends at sign-out", async () => {
  const { origin, port } = site;
  const proof = { origin, 'x-ecs-host-service-console': '1' };
  const ask = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
    call({ port, method, path, headers, body });
  const refused = await ask(
    'POST',
    '/console/session',
    { origin: 'https://evil.example' },
    { token: OPERATOR },
  );
  assert.equal(refused.status, 403);
  assert.equal((await ask('POST', '/console/session', proof, { token: 'wrong' })).status, 401);
  const page = await site.signedIn();
  const [{ name, value } = { name: '', value: '' }] = await page.context().cookies();
  const cookie = `${name}=${value}`;
  assert.equal((await ask('GET', '/v1/host', { cookie })).status, 200);
  assert.equal((await ask('GET', '/v1/host', { cookie, origin: 'https://evil.example' })).status, 403);
  assert.equal((await ask('PUT', '/v1/drain', { cookie, origin })).status, 403);
  assert.equal((await ask('PUT', '/v1/drain', { cookie, 'x-ecs-host-service-console': '1' })).status, 403);
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
  const shell = '/v1/host/terminal';
  assert.equal((await ask('GET', shell, { cookie, ...upgrade, origin: 'https://evil.example' })).status, 403);
  assert.equal((await ask('GET', shell, { cookie, ...upgrade })).status, 403);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You have signed out.').waitFor();
  assert.equal((await ask('GET', '/v1/host', { cookie })).status, 401);
});

test('the console’s files have a strict content security policy and load nothing from elsewhere', async () => {
  const one = await site.visit();
  const asked: string[] = [];
  one.page.on('request', (request) => asked.push(new URL(request.url()).origin));
  const answer = await one.page.goto(`${site.origin}/console`);
  const policy = (await answer?.headerValue('content-security-policy')) ?? '';
  assert.match(policy, /default-src 'none'; script-src 'self';/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /require-trusted-types-for 'script'/);
  assert.equal(one.page.url(), `${site.origin}/console/`);
  await one.page.getByLabel('Token').waitFor();
  assert.deepEqual([...new Set(asked)], [site.origin]);
  assert.equal((await call({ port: site.port, method: 'GET', path: '/console/../etc/passwd' })).status, 404);
  assert.equal((await call({ port: site.port, method: 'GET', path: '/console/none.js' })).status, 404);
});

test('a viewer can look at everything and is offered no actions', async () => {
  const id = await containerOn(site.root);
  const page = await site.signedIn(`#/containers/${id}`, VIEWER);
  await page.getByRole('heading', { name: `Container ${id.slice(0, 12)}` }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Stop …' }).count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Create' }).count(), 0);
  await page.goto(`${site.origin}/console/#/overview`);
  await page.getByRole('region', { name: 'Host' }).waitFor();
  await page.goto(`${site.origin}/console/#/nodes`);
  await page.getByRole('region', { name: 'Feed' }).waitFor();
  for (const name of ['Drain this host …', 'Lock updates …'])
    assert.equal(await page.getByRole('button', { name }).count(), 0, name);
  const [{ name, value } = { name: '', value: '' }] = await page.context().cookies();
  const headers = { cookie: `${name}=${value}`, origin: site.origin, 'x-ecs-host-service-console': '1' };
  assert.equal((await call({ port: site.port, method: 'PUT', path: '/v1/drain', headers })).status, 403);
  await page.goto(`${site.origin}/console/#/containers/${id}/terminal`);
  await page.getByText('Your token can only read, so you cannot open a terminal.').waitFor();
  await site.goneOf(id);
});

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
  await page.keyboard.type('cat\n');
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

test('people watch and take over a terminal, copy, paste and search in it, and confirm before a link opens', async () => {
  const id = await containerOn(site.root);
  const one = await site.visit();
  const page = await site.signIn(one.page);
  await one.context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: site.origin });
  await site.terminalIn(page, id);
  const address = new URL(page.url()).hash;

  const other = await site.signedIn(address, VIEWER);
  await other.getByText('Attached; you watch, and cannot type').waitFor();
  await page.keyboard.type("echo see''n\n");
  await sees(other, /seen/);
  const third = await site.signedIn(`#/containers/${id}`);
  await third.getByRole('link', { name: 'Take over' }).click();
  await third.getByText('Attached', { exact: true }).waitFor();
  await page.getByText('Attached; you watch, and cannot type').waitFor();
  await third.keyboard.type("echo tak''en\n");
  await sees(page, /taken/);
  await page.goto(`${site.origin}/console/#/containers/${id}`);
  await page.getByRole('link', { name: 'Take over' }).click();
  await page.getByText('Attached', { exact: true }).waitFor();

  await page.keyboard.type("echo need''le; echo https://example''.com/here\n");
  await sees(page, /needle/);
  await page.getByLabel('Search').fill('needle');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Copy' }).click();
  await until('the text is copied', async () => {
    return (await page.evaluate('navigator.clipboard.readText()')) === 'needle';
  });
  await page.getByRole('button', { name: 'Paste' }).click();
  await sees(page, /[#$] needle/);

  const link = page.locator('.xterm-rows > div', { hasText: 'https://example.com/here' }).last();
  const box = await link.boundingBox();
  assert.ok(box);
  const asked = page.waitForEvent('dialog');
  await page.mouse.move(box.x + 30, box.y + box.height / 2);
  await page.mouse.move(box.x + 40, box.y + box.height / 2);
  await page.mouse.click(box.x + 40, box.y + box.height / 2);
  assert.match((await asked).message(), /A program in the container printed this link.*example\.com\/here/s);
  assert.equal(one.context.pages().length, 1);
  assert.equal(one.faults.splice(0).length, 1, 'the dialog alone');
  await site.goneOf(id);
});

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

test('a lost connection is shown, and the page and its terminal reconnect', async () => {
  const id = await containerOn(site.root);
  await using relay = await PortRelay.open(site.port);
  const page = await site.signedIn('', OPERATOR, `https://127.0.0.1:${relay.port}`);
  await page.goto(`https://127.0.0.1:${relay.port}/console/#/containers/${id}/terminal`);
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /[#$] /);
  await page.keyboard.type("sleep 1; echo mean''while\n");
  relay.cut();
  await page.getByText('Connection lost; trying again …').waitFor();
  await page.getByText('The connection broke; the program keeps running.').waitFor();
  relay.mend();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /meanwhile/);
  await site.goneOf(id);
});

test('the console executes nothing that a hostile container prints, in a terminal or in its output', async () => {
  const markup = '<img src=x onerror="document.title=1"><script>alert(1)</script>';
  const sequences =
    '\\033]0;owned\\007\\033]52;c;b3duZWQ=\\007\\033]8;;javascript:alert(1)\\007link\\033]8;;\\007';
  const print = `printf '%s\\n' '${markup}'; printf '${sequences}\\n'`;
  const printed = [`sh -c "seq 1 100000"`, print, `echo the''end`].join('; ');
  const id = await containerOn(site.root);
  const page = await site.signedIn();
  const title = await page.title();
  await site.terminalIn(page, id);
  await page.keyboard.type(`${printed}\n`);
  await sees(page, /theend/);
  await page.keyboard.type(`(${print}; seq 1 100000; echo the''end) > /proc/1/fd/1\n`);
  await page.getByRole('link', { name: id.slice(0, 12) }).click();
  const output = page.getByLabel('Output of the container');
  await output.getByText('theend').waitFor();
  assert.ok((await output.locator('div').count()) <= 5000);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.ok(!(await page.title()).includes('owned'), title);
  await page.getByLabel('Search').fill('99999');
  await page.getByText('1 lines fit').waitFor();
  await site.goneOf(id);
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

test('replacing the token ends every session of the console', async () => {
  const page = await site.signedIn();
  site.giveToken(NEXT_OPERATOR);
  await page.goto(`${site.origin}/console/#/containers/0000`);
  await page.getByText('Your session has ended. Sign in again to continue.').waitFor();
  site.giveToken(OPERATOR);
});

test('root opens the console on this host with a one-time address that nobody else can use', async () => {
  const id = await containerOn(site.root);
  const words = [...NODE_FLAGS, PROGRAM, 'console'];
  const command = spawn(process.execPath, words, {
    env: { PATH: process.env.PATH, ROOT: site.root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(createInterface({ input: command.stdout }), 'line')) as [string];
  const url = new URL(/^Open (\S+)$/.exec(said)?.[1] ?? '');
  const asked = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    plain(url, method, path, headers);
  assert.equal(await asked('/console/'), 403);
  assert.equal(await asked('/v1/host'), 403);
  assert.equal(await asked('/console/open?wrong'), 403);
  assert.equal(await asked(`${url.pathname}${url.search}`, { host: 'evil.example' }), 421);
  const one = await site.visit('', 'dark', url.origin);
  await one.page.goto(url.href);
  await one.page.getByText('Live', { exact: true }).waitFor();
  assert.equal(one.page.url(), `${url.origin}/console/`);
  assert.equal(await asked(`${url.pathname}${url.search}`), 403);
  const [{ name, value } = { name: '', value: '' }] = await one.context.cookies();
  const cookie = `${name}=${value}`;
  assert.equal(await asked('/v1/host', { cookie }), 200);
  assert.equal(await asked('/v1/host', { cookie, origin: 'http://evil.example' }), 403);
  assert.equal(await asked('/v1/host', { cookie, host: 'evil.example' }), 421);
  assert.equal(await asked('/v1/drain', { cookie, origin: url.origin }, 'PUT'), 403);
  assert.equal(await asked('/healthz', { cookie }), 404);
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
  assert.equal(await asked('/v1/host/terminal', { ...upgrade, origin: url.origin }), 403);
  assert.equal(await asked('/v1/host/terminal', { ...upgrade, cookie, origin: 'http://evil.example' }), 403);
  await one.page.goto(`${url.origin}/console/#/containers/${id}/terminal`);
  await one.page.getByText('Attached', { exact: true }).waitFor();
  await sees(one.page, /[#$] /);
  command.kill('SIGINT');
  await once(command, 'exit');
  await one.page.getByText('Connection lost; trying again …').waitFor();
  await site.goneOf(id);
});

/** @returns the status of an answer */
async function plain(
  url: URL,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<number> {
  const asked = request({ host: url.hostname, port: url.port, method, path, headers, agent: false }).end();
  const [response] = await once(asked, 'response');
  response.resume();
  return response.statusCode;
}

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
