/** The web console, as people see it: in a browser, against the real service with real containers. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { assertAccessible, goTo, openBrowser, type Visit, visit } from '../support/browser.ts';
import { call } from '../support/https.ts';
import { Operator } from '../support/operator.ts';
import { PortRelay } from '../support/port-relay.ts';
import { CONSOLE_TOKENS } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { containerOn, importShellImage, SHELL_IMAGE } from '../support/shell-image.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const { operator: OPERATOR, next: NEXT_OPERATOR, viewer: VIEWER } = CONSOLE_TOKENS;
const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const PORT = 4678;
const HOST = `https://127.0.0.1:${PORT}`;
const TOKEN_FILE = '/run/test/operator-token';

let host: TestHost;
let service: ServiceProcess;
let root: string;
let browser: Browser;
let visits: Visit[] = [];

before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
  root = host.newRoot();
  writeFileSync(TOKEN_FILE, OPERATOR, { mode: 0o600 });
  const env = { ROOT: root, OPERATOR_TOKEN_FILE: TOKEN_FILE, VIEWER_TOKEN: VIEWER, LOG_LEVEL: 'info' };
  service = await host.start({ env }).ready();
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
  assert.equal(await service.stop(), 0, service.log());
  await host.finish();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  const faults = visits.flatMap((one) => one.faults);
  for (const one of visits.splice(0)) await one[Symbol.asyncDispose]();
  visits = [];
  assert.deepEqual(faults, [], 'faults of pages');
});

async function opened(hash = '', origin = HOST): Promise<Page> {
  const one = await visit(browser);
  visits.push(one);
  await goTo(one.page, `${origin}/console/${hash}`);
  return one.page;
}

async function signedIn(hash = '', token: string = OPERATOR, origin = HOST): Promise<Page> {
  const page = await opened(hash, origin);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
}

async function goneOf(id: string): Promise<void> {
  await new Operator(root).ask('POST', `/v1/containers/${id}/stop`);
}

/** What a terminal shows. */
async function screenOf(page: Page): Promise<string> {
  return ((await page.locator('.xterm-rows').textContent()) ?? '').replaceAll('\u00a0', ' ');
}

async function sees(page: Page, text: RegExp): Promise<void> {
  await until(`the terminal shows ${text}`, async () => text.test(await screenOf(page)));
}

async function terminalIn(page: Page, id: string): Promise<void> {
  await page.goto(`${HOST}/console/#/containers/${id}`);
  await page.getByRole('link', { name: 'Open a terminal' }).click();
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /[#$] /);
}

test('a wrong token is refused with what to do, and the right one lets in', async () => {
  const page = await opened();
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

test('a session of the console counts for its own pages only, and ends when it is signed out', async () => {
  const origin = HOST;
  const proof = { origin, 'x-ecs-host-service-console': '1' };
  const ask = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
    call({ port: PORT, method, path, headers, body });
  const refused = await ask(
    'POST',
    '/console/session',
    { origin: 'https://evil.example' },
    { token: OPERATOR },
  );
  assert.equal(refused.status, 403);
  assert.equal((await ask('POST', '/console/session', proof, { token: 'wrong' })).status, 401);
  const page = await signedIn();
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

test('the console’s files come with a strict policy, and nothing of them is loaded from elsewhere', async () => {
  const one = await visit(browser);
  visits.push(one);
  const asked: string[] = [];
  one.page.on('request', (request) => asked.push(new URL(request.url()).origin));
  const answer = await one.page.goto(`${HOST}/console`);
  const policy = (await answer?.headerValue('content-security-policy')) ?? '';
  assert.match(policy, /default-src 'none'; script-src 'self';/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /require-trusted-types-for 'script'/);
  assert.equal(one.page.url(), `${HOST}/console/`);
  await one.page.getByLabel('Token').waitFor();
  assert.deepEqual([...new Set(asked)], [HOST]);
  assert.equal((await call({ port: PORT, method: 'GET', path: '/console/../etc/passwd' })).status, 404);
  assert.equal((await call({ port: PORT, method: 'GET', path: '/console/none.js' })).status, 404);
});

test('a viewer looks and is offered nothing that acts', async () => {
  const id = await containerOn(root);
  const page = await signedIn(`#/containers/${id}`, VIEWER);
  await page.getByRole('heading', { name: `Container ${id.slice(0, 12)}` }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Stop …' }).count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Create' }).count(), 0);
  await goneOf(id);
});

test('a person makes a container, works in its terminal, watches it end, and reads its receipt', async () => {
  const page = await signedIn('#/create');
  await page.getByLabel('Image').fill(SHELL_IMAGE);
  await page.getByLabel('App').fill('demo');
  await page.getByRole('button', { name: 'Check whether it fits' }).click();
  await page.getByText('It fits: there is room for').waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { name: 'Life' }).waitFor();
  const id = /#\/containers\/([0-9a-f]{60})/.exec(page.url())?.[1] ?? '';
  await assertAccessible(page);

  await terminalIn(page, id);
  await page.keyboard.type("echo wo''rks $((6 * 7))\n");
  await sees(page, /works 42/);
  await page.keyboard.type('cat\n');
  await page.keyboard.type('it reads\n');
  await sees(page, /it reads\s*it reads/);
  await page.keyboard.press('Control+c');
  await page.keyboard.type("echo af''ter\n");
  await sees(page, /after/);
  await page.setViewportSize({ width: 900, height: 700 });
  const size = async () => (await new Operator(root).get('/v1/terminals')).body.terminals[0].columns;
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

  await page.goto(`${HOST}/console/#/containers/${id}`);
  await page.getByRole('button', { name: 'Stop …' }).click();
  await page.getByRole('dialog').getByText('Its program gets SIGTERM').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await page.getByText('an operator stopped it').first().waitFor();
  await page.getByText(/^It ended/).waitFor();
  await page.getByRole('cell', { name: 'held', exact: true }).waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'kept for ten minutes, for its log' }).waitFor();
  await assertAccessible(page);
});

test('the table of containers filters, sorts, and is kept in the address', async () => {
  const [one, other] = [await containerOn(root), await containerOn(root)];
  const page = await signedIn('#/containers');
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
  await goneOf(one);
  await page.getByText('1 of 1').waitFor();
  await goneOf(other);
  await page.getByText('This host has no containers.').waitFor();
});

test('a connection that breaks is told, and the page and its terminal come back', async () => {
  const id = await containerOn(root);
  await using relay = await PortRelay.open(PORT);
  const page = await signedIn('', OPERATOR, `https://127.0.0.1:${relay.port}`);
  await page.goto(`https://127.0.0.1:${relay.port}/console/#/containers/${id}/terminal`);
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /[#$] /);
  await page.keyboard.type("sleep 1; echo mean''while\n");
  relay.cut();
  await page.getByText('Connection lost; trying again …').waitFor();
  await page.getByText('The connection broke; what runs here goes on.').waitFor();
  relay.mend();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('Attached', { exact: true }).waitFor();
  await sees(page, /meanwhile/);
  await goneOf(id);
});

test('nothing that a hostile container prints runs, in its terminal or its output', async () => {
  const markup = '<img src=x onerror="document.title=1"><script>alert(1)</script>';
  const sequences =
    '\\033]0;owned\\007\\033]52;c;b3duZWQ=\\007\\033]8;;javascript:alert(1)\\007link\\033]8;;\\007';
  const print = `printf '%s\\n' '${markup}'; printf '${sequences}\\n'`;
  const printed = [`sh -c "seq 1 100000"`, print, `echo the''end`].join('; ');
  const id = await containerOn(root);
  const page = await signedIn();
  const title = await page.title();
  await terminalIn(page, id);
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
  await goneOf(id);
});

test('events come as they happen, and a pause holds them', async () => {
  const page = await signedIn('#/events');
  await page.getByText('Nothing has happened since').waitFor();
  const id = await containerOn(root);
  await page
    .getByRole('link', { name: id.slice(0, 12) })
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await goneOf(id);
  await page.getByText(/Paused; [1-9]\d* more have come/).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('an operator stopped it').first().waitFor();
  await assertAccessible(page);
});

test('whoever has signed in is out when the token is replaced', async () => {
  const page = await signedIn();
  writeFileSync(TOKEN_FILE, NEXT_OPERATOR, { mode: 0o600 });
  await page.getByText('Your session has ended. Sign in again to continue.').waitFor();
  writeFileSync(TOKEN_FILE, OPERATOR, { mode: 0o600 });
});

test('root opens the console on this host by a one-time address, and nobody else gets in', async () => {
  const id = await containerOn(root);
  const words = [...NODE_FLAGS, PROGRAM, 'console'];
  const command = spawn(process.execPath, words, {
    env: { PATH: process.env.PATH, ROOT: root },
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
  const one = await visit(browser);
  visits.push(one);
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
  await one.page.goto(`${url.origin}/console/#/containers/${id}/terminal`);
  await one.page.getByText('Attached', { exact: true }).waitFor();
  await sees(one.page, /[#$] /);
  command.kill('SIGINT');
  await once(command, 'exit');
  await one.page.getByText('Connection lost; trying again …').waitFor();
  await goneOf(id);
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
  const id = await containerOn(root);
  const page = await signedIn();
  await page.getByRole('button', { name: 'Drain this host …' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await page.getByText('The host drains: it accepts no more containers').waitFor();
  await assertAccessible(page);
  await goneOf(id);
});
