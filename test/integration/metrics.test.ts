/** The metrics of a running service, as Prometheus gets them. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer } from '../support/callers.ts';
import { askForMetrics } from '../support/metrics.ts';
import { Operator } from '../support/operator.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('metrics cover a container from start to end', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const operator = new Operator(root);
  const numbers = () => askForMetrics(root);
  const dockerId = await hostContainer(service);
  const during = await numbers();
  assert.equal(during('containers', '{"state":"running"}'), 1);
  assert.equal(during('pool_held', '{"pool":"consoles"}'), 1);
  assert.equal(during('docker_call_seconds_count', '{"call":"create"}'), 1);
  assert.equal(during('container_step_seconds_count', '{"step":"preparing"}'), 1);
  assert.equal(during('predecessor_died'), 0);
  await operator.ask('POST', `/v1/containers/${dockerId}/stop`);
  const ended = await numbers();
  assert.equal(ended('container_ends_total', '{"code":"operator"}'), 1);
  assert.equal(ended('pool_held', '{"pool":"consoles"}'), 0);
  assert.equal(ended('container_step_seconds_count', '{"step":"ending"}'), 1);
  assert.equal(ended('releases_failed_total'), 0);
  assert.equal(await service.stop(), 0);
});
