/** Signing in to the web console, in a browser: tokens, sessions, roles, and the address for root. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { assertAccessible } from '../support/browser.ts';
import { ConsoleSite, sees } from '../support/console-site.ts';
import { call } from '../support/https.ts';
import { CONSOLE_TOKENS } from '../support/secrets.ts';
import { containerOn } from '../support/shell-image.ts';
import { until } from '../support/site.ts';

const { operator: OPERATOR, next: NEXT_OPERATOR, viewer: VIEWER } = CONSOLE_TOKENS;
const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');

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
