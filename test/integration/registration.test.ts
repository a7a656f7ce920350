/** A webserver that knows an instance refuses to register it again. However a service ended, the next one can continue. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

let host: TestHost;
let world: World;
let site: Site;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await World.open();
  site = new Site(host, world.settings);
});
afterEach(async () => {
  await world.close();
  await host.finish();
});

const registrations = () => world.beats.filter(({ call }) => call === 'auth').length;
const beats = (dying: 'True' | 'False') =>
  world.beats.filter(({ fields }) => fields.IsDyingHeartbeat === dying);

/** Resolves when the webserver has received one more heartbeat of the running host. */
async function untilItBeats(): Promise<void> {
  const before = beats('False').length;
  await until('a heartbeat has arrived', () => beats('False').length > before);
}

/** Starts a service, and makes the webserver unavailable after its first heartbeat. */
async function startAndLose() {
  const service = site.run([]);
  await untilItBeats();
  await service.ready();
  world.webserver.fault = '500';
  return service;
}

/** Starts a service while the webserver is still away. Then the webserver must know it without another registration. */
async function startAgain() {
  const service = await site.start();
  world.webserver.requests.length = 0;
  world.webserver.fault = undefined;
  await untilItBeats();
  assert.equal(registrations(), 0);
  assert.equal(await service.stop(), 0);
  assert.equal(beats('True').length, 1);
  return service;
}

test('a host that was stopped while the webserver was away continues its registration', async () => {
  const service = await startAndLose();
  assert.equal(await service.stop(), 0);
  await startAgain();
});

test('a host whose crash was never reported continues its registration', async () => {
  await site.kill(await startAndLose());
  await startAgain();
});

test('a host whose bury ran while the webserver was away continues its registration', async () => {
  await site.kill(await startAndLose());
  await site.bury();
  await startAgain();
});

test('a host that is rebooted while the webserver is away continues its registration', async () => {
  const service = await startAndLose();
  await site.kill(service);
  // Nothing on a tmpfs survives.
  rmSync(dirname(site.runDirectory), { recursive: true });
  const next = await startAgain();
  // The next service does not know that its directories are those of the first.
  for (const one of [next, service]) await host.abandon(one);
});

for (const [how, end] of Object.entries({
  stopped: async (service: Awaited<ReturnType<typeof startAndLose>>) => assert.equal(await service.stop(), 0),
  killed: (service: Awaited<ReturnType<typeof startAndLose>>) => site.kill(service),
})) {
  test(`the pending last heartbeat of a service that was ${how} is delivered when the webserver is back`, async () => {
    await end(await startAndLose());
    await site.bury();
    await until('a wait process runs to deliver it', () => site.waitLog.includes('"step":"lock"'));
    assert.equal(registrations(), 1);
    world.webserver.requests.length = 0;
    world.webserver.fault = undefined;
    await site.over();
    assert.equal(beats('True').length, 1);
    // The webserver no longer knows it, so the next service registers.
    const next = site.run([]);
    await untilItBeats();
    assert.equal(registrations(), 1);
    assert.equal(await (await next.ready()).stop(), 0);
  });
}
