/** The metrics of a service that runs, as Prometheus gets them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { host as hostContainer } from '../support/callers.ts';
import { PREFIX, parse } from '../support/metrics.ts';
import { Operator } from '../support/operator.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('metrics tell of a container from beginning to end', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const operator = new Operator(root);
  const numbers = async () => {
    const [answer] = (await once(
      get({ socketPath: pathsBelow(root).apiSocket, path: '/metrics' }),
      'response',
    )) as [IncomingMessage];
    assert.equal(answer.statusCode, 200);
    const families = parse(await text(answer));
    return (name: string, series = '{}') =>
      [...families.values()]
        .flatMap(({ samples }) => samples)
        .find((one) => one.name === PREFIX + name && JSON.stringify(one.labels) === series)?.value;
  };
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
