/** One story, told in order: a container in use, and the services that die around it. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { consoleInFront } from './front.ts';
import { GuestHost } from './guest-host.ts';
import { assertNoLeaks, Survivor } from './survivor.ts';
import { show, untilState, WAIT_UNIT } from './unit-service.ts';

const host = await GuestHost.open();
let service = await host.start();
const survivor = await Survivor.open(host, service);
let unclaimed = await host.hostInputProgram(service);
after(async () => {
  try {
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});

test('after SIGKILL of the service, devices exist as long as the container that holds their descriptors', async () => {
  assert.deepEqual(await survivor.outlives(service, unclaimed, 'SIGKILL'), {
    result: 'signal',
    status: 9,
    report: 'the service died: killed by SIGKILL',
  });
});

test('while the container in use runs, the dead service’s console stays in front', async () => {
  assert.equal(consoleInFront(), 'tty9');
  await survivor.container.program.say(`console ${survivor.container.tty}`);
  await survivor.container.program.say(
    `print ${Buffer.from(`\x1b[12;${survivor.container.tty}]`).toString('hex')}`,
  );
  assert.equal(consoleInFront(), 'tty9');
});

test('the next service adopts the container, and a new container gets other event numbers and another console', async () => {
  service = await host.start();
  await untilState('active');
  assert.deepEqual([show('ActiveState', WAIT_UNIT), show('Result', WAIT_UNIT)], ['inactive', 'success']);
  await survivor.assertAlone();
  assert.equal(consoleInFront(), 'tty9');
  unclaimed = await host.hostInputProgram(service);
  const { numbers, tty, ports } = survivor.container;
  assert.ok(numbers.length > 0 && !unclaimed.numbers.some((number) => numbers.includes(number)));
  assert.ok(!unclaimed.ports.some((port) => ports.includes(port)));
  assert.notEqual(unclaimed.tty, tty);
  await survivor.assertWrites();
  assertNoLeaks();
});

test('systemd kills a stopped service after it was ready, and runs bury', async () => {
  assert.deepEqual(await survivor.outlives(service, unclaimed, 'SIGSTOP'), {
    result: 'watchdog',
    status: 9,
    report: 'the service died: it stopped responding, and its watchdog killed it',
  });
});

test('after a service that adopted containers dies of SIGSEGV, bury works as before', async () => {
  service = await host.start();
  unclaimed = await host.hostInputProgram(service);
  const { status, report } = await survivor.outlives(service, unclaimed, 'SIGSEGV');
  assert.deepEqual(
    [status, report],
    [11, 'the service died: killed by SIGSEGV: it used memory that was not its own'],
  );
});

test('when the container in use ends by itself, all of its resources are released, and wait exits', async () => {
  await survivor.end();
  assert.equal(consoleInFront(), 'tty1');
});
