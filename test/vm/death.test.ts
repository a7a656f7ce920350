import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { virtualDevices } from './evdev.ts';
import { GuestHost } from './guest-host.ts';
import { MOUSE } from './input-program.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('after SIGKILL of the service, devices live as long as the container that holds their descriptors', async () => {
  const service = await host.start();
  const holder = await host.hostInputProgram(service);
  const other = await host.hostInputProgram(service);
  assert.equal(await holder.program.say('connect'), '3');
  await service.kill();

  assert.deepEqual(
    virtualDevices().map(({ number }) => number),
    holder.numbers.toSorted((a, b) => a - b),
    'those that nobody was handed are gone',
  );
  await holder.program.write(MOUSE, [
    [2, 0, 1],
    [0, 0, 0],
  ]);
  await host.docker.getContainer(holder.dockerId).kill();
  while (virtualDevices().length > 0) await pause(20);

  // The next one clears up after it.
  const next = await host.start();
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  assert.equal(existsSync(`/fractal/${other.id}`), false);
  assert.equal(await next.stop(), 0);
  host.clearAfterKill();
});
