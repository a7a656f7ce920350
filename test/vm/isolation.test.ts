/** One story, told in order: a spy and its neighbours, on a host whose kernel reuses numbers. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { virtualDevices } from './evdev.ts';
import { GuestHost } from './guest-host.ts';
import { INPUT_IMAGE, KEYBOARD } from './input-program.ts';

const host = await GuestHost.open();
let service = await host.start();
const spy = await host.hostInputProgram(service);
const neighbour = await host.hostInputProgram(service);
const spied = spy.numbers[KEYBOARD] as number;
after(async () => {
  try {
    assert.equal(await service.stop(), 0);
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});

test('a container can open its own three device nodes and no others, by whatever node', async () => {
  const nodes = (await spy.program.say('nodes')).trim().split(' ').sort();
  assert.deepEqual(nodes, spy.numbers.map((number) => `event${number}`).sort());
  for (const number of spy.numbers) {
    assert.equal(await spy.program.say(`open /dev/input/event${number}`), 'done');
  }
  assert.equal(await spy.program.say(`open-number ${spied}`), 'done');
  for (const number of neighbour.numbers) {
    assert.equal(await spy.program.say(`open /dev/input/event${number}`), 'No such file or directory');
    assert.equal(await spy.program.say(`open-number ${number}`), 'Operation not permitted');
  }
});

test('a container that has destroyed its keyboard does not receive events of the next one that is made', async () => {
  await spy.program.say('connect');
  assert.equal(await spy.program.say(`destroy ${KEYBOARD}`), 'done');
  assert.ok(
    !virtualDevices().some(({ number }) => number === spied),
    'the kernel may allot the number again',
  );

  const late = await host.hostInputProgram(service);
  assert.ok(!late.numbers.includes(spied), `${late.numbers.join()} has ${spied}`);
  assert.match(await spy.program.say(`open /dev/input/event${spied}`), /No such device/);
  assert.equal(virtualDevices().length, 8, 'the container that was parked on the number is gone');
  await host.remove(service, late);
});

test('a container that is started again after its end gets no other container’s devices, and its numbers can be reused', async () => {
  const ended = host.docker.getContainer(spy.dockerId);
  await ended.kill();
  await service.gone(spy.id);
  const next = await host.hostInputProgram(service);
  assert.ok(next.numbers.includes(spied), `${next.numbers.join()} has not ${spied}`);
  await assert.rejects(ended.start(), /does not exist|no such file/);
});

test('a number that a container from before the start may open is not allotted to another while it runs', async () => {
  // The kernel allots the lowest free one, so the next container would get it.
  const heard = Math.min(...virtualDevices().map(({ number }) => number));
  // It does not belong to this service, so the next one leaves it alone.
  const node = `/dev/input/event${heard}`;
  const elder = await host.docker.createContainer({
    Image: INPUT_IMAGE,
    HostConfig: { Devices: [{ PathOnHost: node, PathInContainer: node, CgroupPermissions: 'rwm' }] },
  });
  await elder.start();
  assert.equal(await service.stop(), 0);

  service = await host.start();
  const { numbers } = await host.hostInputProgram(service);
  assert.ok(Math.min(...numbers) > heard, `${numbers.join()} has ${heard}`);
  await elder.remove({ force: true });
});
