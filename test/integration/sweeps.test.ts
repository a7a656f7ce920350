/** Containers that wait in vain. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { claim, host as hostContainer, OK, startValues } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('a container that is not assigned, or not ready after its assignment, within the time limit is ended, and no other', async () => {
  const root = host.newRoot();
  const env = { ROOT: root, UNCLAIMED_SECONDS: '3', NOT_READY_SECONDS: '1' };
  const service = await host.start({ env }).ready();
  const operator = new Operator(root);
  using events = await operator.follow();
  const [unclaimed, notReady, ready] = [
    await hostContainer(service),
    await hostContainer(service),
    await hostContainer(service),
  ];
  await claim(service, await host.hostPort(ready));
  assert.deepEqual(await startValues(service, await host.hostPort(notReady)), OK);
  const ended = new Map<string | undefined, string>();
  await events.until(({ container, code }) => {
    if (container.state === 'ending') ended.set(container.docker, code);
    return ended.size === 2;
  });
  assert.deepEqual(
    ended,
    new Map([
      [notReady, 'never-ready'],
      [unclaimed, 'unclaimed'],
    ]),
  );
  assert.equal((await operator.get(`/v1/containers/${ready}`)).body.state, 'ready');
  assert.equal(await service.stop(), 0);
});

test('without these settings, containers wait without a time limit', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  assert.deepEqual(await startValues(service, await host.hostPort(dockerId)), OK);
  assert.equal((await new Operator(root).get(`/v1/containers/${dockerId}`)).body.state, 'assigned');
  assert.equal(await service.stop(), 0);
});
