/** The last release and this version on the same host: each takes over what the other left. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { askTcp, claim, OK, startValues, token } from '../support/callers.ts';
import { LastRelease } from '../support/last-release.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { containerOn, importShellImage } from '../support/shell-image.ts';
import { hostTwo, running, Site, until } from '../support/site.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { TestHost } from '../support/test-host.ts';

const THIS = join(import.meta.dirname, '../../src/ecs-host-service.ts');
/** The file that says which program the launcher starts next. */
const NEXT = '/run/test/next-program';
const RUN_NEXT = `exec ${[process.execPath, ...NODE_FLAGS].join(' ')} "$(cat ${NEXT})"`;

const last = new LastRelease();
let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  last[Symbol.dispose]();
});
afterEach(() => host.finish());

/** Hands the host over to another program. */
async function handOverTo(program: string, service: ServiceProcess): Promise<void> {
  const from = service.lines.length;
  writeFileSync(NEXT, program);
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
}

async function attach(root: string, client: TerminalClient): Promise<TerminalClient> {
  await client.until(() => client.isClosed);
  return await TerminalClient.open(root, `/terminals/${client.terminal}/attach?after=${client.bytes}`);
}

test('the last release hands its containers and terminals over to this version, and gets them back in a rollback', async () => {
  const root = host.newRoot();
  writeFileSync(NEXT, last.program);
  const env = { ROOT: root, HOST_SHELL_USER: 'root', HOST_SHELL_AS_ROOT: 'yes' };
  const service = await host
    .start({ executable: 'sh', arguments: ['-c', RUN_NEXT], launcher: [], env })
    .ready();
  const { unclaimed, port } = await hostTwo(host, service);
  const first = await host.hostPort(unclaimed);
  assert.deepEqual(await token(service, first), OK);
  const id = await containerOn(root);
  using before = await TerminalClient.open(root, `/containers/${id}/terminal?command=/bin/sh`);
  before.type('stayed=here; echo re""ady\n');
  await before.sees('ready');
  const containers = await running(host);

  await handOverTo(THIS, service);
  assert.deepEqual(await running(host), containers);
  assert.deepEqual(await startValues(service, first), OK);
  await until('its program is ready', async () => (await askTcp(first)).dpi === '96');
  using between = await attach(root, before);
  between.type('echo "still $stayed"\n');
  await between.sees('still here');
  using shell = await TerminalClient.open(root, '/host/terminal');

  await handOverTo(last.program, service);
  assert.deepEqual(await running(host), containers);
  assert.equal((await startValues(service, port, { dpi: 97 })).status, 406);
  using back = await attach(root, between);
  back.type('echo "$stayed again"; exit 7\n');
  assert.deepEqual(await back.ended(), { type: 'ended', exitCode: 7 });
  assert.match(back.printed.toString(), /here again/);
  await shell.until(() => shell.isClosed);
  const errors = service.lines.filter(({ level }) => level === 'error');
  assert.deepEqual(
    errors.map(({ terminal }) => terminal),
    [shell.terminal],
    'the last release cannot take over a shell on the host, and ends it',
  );
  assert.equal(await service.stop(), 0, service.log());
});

for (const [who, whom, programs] of [
  ['this version', 'the last release', [last.program, THIS]],
  ['the last release', 'this version', [THIS, last.program]],
] as const) {
  test(`${who} adopts the containers in use that ${whom} left when it was killed`, async () => {
    const site = new Site(host);
    const start = (program: string) =>
      host
        .start({
          executable: process.execPath,
          arguments: [...NODE_FLAGS, program],
          env: { ROOT: site.root },
        })
        .ready();
    const [before, next] = programs;
    const service = await start(before);
    const { claimed, port } = await hostTwo(host, service);
    await site.kill(service);
    const adopter = await start(next);
    assert.deepEqual(await running(host), [claimed]);
    await claim(adopter, port);
    assert.equal(await adopter.stop(), 0, adopter.log());
  });
}
