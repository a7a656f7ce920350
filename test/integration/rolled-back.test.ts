/** An older state of a user's files that someone put back into the bucket, and how a running service reports it. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { prefixOf } from '../../user-configs/object-keys.ts';
import { askTcp, host as hostContainer, OK, startValues, token, USER } from '../support/callers.ts';
import { askForMetrics } from '../support/metrics.ts';
import { S3 } from '../support/s3.ts';
import { receiptOf, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
afterEach(() => host.finish());
after(() => host[Symbol.asyncDispose]());

test('the log, the metrics and the receipt report that restored files are older than the last saved ones', async () => {
  await using s3 = await S3.open();
  const root = host.newRoot();
  const service = await host.start({ env: { ...s3.settings, ROOT: root } }).ready();
  const spool = join(root, 'var/lib/ecs-host-service/spool');
  const visit = async () => {
    const dockerId = await hostContainer(service);
    const [id, port] = [await host.containerIdOf(dockerId), await host.hostPort(dockerId)];
    await startValues(service, port);
    assert.deepEqual(await token(service, port), OK);
    const { userConfig, visits } = await askTcp(port);
    await host.docker.getContainer(dockerId).kill();
    await service.gone(id);
    await until('it is stored', () => readdirSync(spool).length === 0);
    return { id, userConfig, visits };
  };
  const alarms = async () => (await askForMetrics(root))('config_alarms_total', '{"alarm":"rolled_back"}');

  await visit();
  const current = `${prefixOf(USER, 'demo')}current.json`;
  const old = await s3.read(current);
  await visit();
  assert.equal(await alarms(), 0);
  await s3.write(current, old);
  const { id, ...found } = await visit();
  assert.deepEqual(found, { userConfig: 'restored', visits: 1 });
  const lines = service.lines.filter(({ msg }) => msg.startsWith('S3 may have returned an older state'));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['error'],
  );
  assert.equal(await alarms(), 1);
  const { warnings } = await receiptOf(root, id);
  assert.deepEqual(
    warnings?.map(({ code }) => code),
    ['config.rolled_back'],
  );
  assert.equal(await service.stop(), 0);
});
