/** Terminals in the web console, in a browser: shared, interrupted, and with hostile output. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { ConsoleSite, sees } from '../support/console-site.ts';
import { PortRelay } from '../support/port-relay.ts';
import { CONSOLE_TOKENS } from '../support/secrets.ts';
import { containerOn } from '../support/shell-image.ts';
import { until } from '../support/site.ts';

const { operator: OPERATOR, viewer: VIEWER } = CONSOLE_TOKENS;

let site: ConsoleSite;
before(async () => {
  site = await ConsoleSite.open();
});
after(() => site[Symbol.asyncDispose]());
afterEach(() => site.leavePages());

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
