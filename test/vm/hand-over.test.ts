/** A restart of the unit under systemd, whose store keeps the descriptors that the service hands over. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../support/site.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { virtualDevices } from './evdev.ts';
import { GuestHost, type InputContainer } from './guest-host.ts';
import { show } from './unit-service.ts';
import { importXServer, X_IMAGE } from './x-server.ts';

const run = promisify(execFile);

const PROGRAM = '/opt/ecs-host-service/ecs-host-service';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());

/** It is not synchronous, because this process is the outside world that the service calls. */
async function systemctl(...words: readonly string[]): Promise<void> {
  await run('systemctl', words);
}

async function isRunning({ dockerId }: InputContainer): Promise<boolean> {
  return (await host.docker.getContainer(dockerId).inspect()).State.Running;
}

/** The ids and the states of the containers, as the running service lists them. */
async function listed(): Promise<string[]> {
  const { stdout } = await run('ecs-host-service', ['ps', '--json']);
  const containers: { id: string; state: string }[] = JSON.parse(stdout);
  return containers.map(({ id, state }) => `${id} ${state}`);
}

test('a restart of the unit hands the host over, and a stop ends every container', async () => {
  const service = await host.start();
  const container = await host.hostClaimed(service);
  const devices = virtualDevices();
  for (let restart = 1; restart <= 2; restart++) {
    const { pid } = service;
    await systemctl('restart', 'ecs-host-service.service');
    assert.notEqual(service.pid, pid);
    assert.equal(show('Result'), 'success');
    assert.ok(await isRunning(container), `restart ${restart}`);
    assert.deepEqual(await listed(), [`${container.id} ready`]);
    assert.deepEqual(virtualDevices(), devices, 'its input devices keep their numbers');
  }
  assert.deepEqual(
    host.world.webserver.requests.filter(({ body }) => JSON.parse(body).IsDyingHeartbeat === 'True'),
    [],
    'no service said that the host dies',
  );
  await systemctl('stop', 'ecs-host-service.service');
  assert.equal(await isRunning(container).catch(() => false), false);
  await host.finish();
});

/** It outlives its shell: it ignores the hang-up, in a session of its own. */
const STAYS = 'setsid sh -c "trap \\"\\" HUP; sleep 1000" & echo re""ady';

function shellOnHost(): Promise<TerminalClient> {
  return TerminalClient.open('/', '/host/terminal?columns=100&rows=30');
}

/** Attaches where the client was when the service closed its connection. */
async function again(client: TerminalClient): Promise<TerminalClient> {
  await client.until(() => client.isClosed);
  assert.equal(client.closed, 1012);
  const { terminal, bytes } = client;
  return await TerminalClient.open('/', `/terminals/${terminal}/attach?after=${bytes}`);
}

/** The processes of the user for shells. */
async function ofShells(): Promise<string> {
  return (await run('pgrep', ['--uid', 'ubuntu', '--list-full']).catch(() => ({ stdout: '' }))).stdout;
}

test('programs in terminals and shells on the host keep running in a restart of the unit, and none outlives a stop or a death', async () => {
  await importXServer(host.docker);
  const settings = { HOST_SHELL_USER: 'ubuntu' };
  const service = await host.start(settings);
  const { id } = await host.hostInputProgram(service, X_IMAGE);
  const loop = encodeURIComponent('while read line; do echo "got $line"; done');
  using before = await TerminalClient.open(
    '/',
    `/containers/${id}/terminal?command=/bin/sh&command=-c&command=${loop}`,
  );
  using shell = await shellOnHost();
  shell.type(`variable=stays; echo kept > /tmp/of-the-shell; ${STAYS}\r`);
  await shell.sees('ready');
  await systemctl('restart', 'ecs-host-service.service');
  using inside = await again(before);
  inside.type('hello\r');
  await inside.sees('got hello');
  using onHost = await again(shell);
  onHost.type('echo "$variable $(stty size) $(cat /tmp/of-the-shell)"; exit 5\r');
  assert.deepEqual(await onHost.ended(), { type: 'ended', exitCode: 5 });
  assert.match(onHost.printed.toString(), /stays 30 100 kept\r\n/);
  using another = await shellOnHost();
  another.type('sleep 2000\r');
  await until('both programs run', async () => /sleep 1000\n.*sleep 2000/s.test(await ofShells()));
  await systemctl('stop', 'ecs-host-service.service');
  assert.equal(await ofShells(), '', 'after a stop');
  await host.finish();

  const next = await host.start(settings);
  using last = await shellOnHost();
  last.type(`${STAYS}\r`);
  await until('the program runs', async () => /sleep 1000/.test(await ofShells()));
  await next.die('SIGKILL');
  assert.equal(await ofShells(), '', 'after a death');
  await host.finish();
});

test('if the new version does not start, the previous one takes the host over, and a rollback by hand works too', async () => {
  const service = await host.start();
  const container = await host.hostClaimed(service);
  const upgraded = await run('ecs-host-service', ['upgrade']);
  assert.match(upgraded.stdout, /has taken the host over$/m);
  rmSync(`${PROGRAM}.previous`, { force: true });
  linkSync(PROGRAM, `${PROGRAM}.previous`);
  writeFileSync(`${PROGRAM}.new`, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  renameSync(`${PROGRAM}.new`, PROGRAM);
  const failed = await run(`${PROGRAM}.previous`, ['upgrade']).catch((error: { stderr: string }) => error);
  assert.match(failed.stderr, /previous/);
  rmSync(`${PROGRAM}.failed`);
  assert.ok(await isRunning(container));
  assert.deepEqual(await listed(), [`${container.id} ready`]);
  copyFileSync(PROGRAM, `${PROGRAM}.previous`);
  const { pid } = service;
  const rolledBack = await run('ecs-host-service', ['upgrade', '--rollback']);
  assert.match(rolledBack.stdout, /has taken the host over$/m);
  assert.notEqual(service.pid, pid);
  assert.deepEqual(await listed(), [`${container.id} ready`]);
  rmSync(`${PROGRAM}.previous`);
  await systemctl('stop', 'ecs-host-service.service');
  await host.finish();
});
