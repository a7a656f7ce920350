/** A restart of the unit under systemd, whose store keeps the descriptors that the service hands over. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { virtualDevices } from './evdev.ts';
import { GuestHost, type InputContainer } from './guest-host.ts';
import { show } from './unit-service.ts';

const run = promisify(execFile);

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
