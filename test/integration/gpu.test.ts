import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spinUp } from '../support/callers.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  // Only its name is read; the device has no driver.
  host = await TestHost.open(['--add-runtime', 'nvidia=/usr/sbin/runc']);
});
after(() => host[Symbol.asyncDispose]());

test('on a host with the nvidia runtime, containers request its GPUs', async () => {
  const service = await host.start().ready();
  const { status, body } = await spinUp(service);
  assert.equal(status, 406);
  assert.match(body, /could not select device driver .*nvidia.* with capabilities: \[\[gpu\]\]/);
  assert.deepEqual(service.heldByContainers(), []);
  assert.equal(await service.stop(), 0);
  await host.finish();
});
