/** Users' files that are too large to be saved, on a host whose service continues, ends, or dies. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { claim, host as hostContainer } from '../support/callers.ts';
import { S3 } from '../support/s3.ts';
import { receiptOf, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const REMOVED = "removed a user's files that were too large to be saved";

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
afterEach(() => host.finish());
after(() => host[Symbol.asyncDispose]());

/** A host on which a container has left too much data. */
async function leaveTooMuch(s3: S3) {
  const site = new Site(host, { ...s3.settings, USER_CONFIG_LIMIT: '1MiB' });
  const service = await site.start();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  await claim(service, await host.hostPort(dockerId));
  const large = join(site.root, 'fractal', id, 'userConfigs/unpacked_configs/large');
  writeFileSync(large, randomBytes(2_000_000));
  chownSync(large, 1000, 1000);
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
  return { site, service, id, kept: join(site.root, 'fractal/kept') };
}

test('files over USER_CONFIG_LIMIT are not retried: the last checkpoint stays current, the rest is kept, and it is logged once', async () => {
  await using s3 = await S3.open();
  const { site, service, id, kept } = await leaveTooMuch(s3);
  const told = service.lines.filter(({ msg }) => msg.startsWith('files of a user are too large'));
  assert.deepEqual([told.length, told[0]?.level], [1, 'error']);
  const [name = ''] = readdirSync(kept);
  assert.ok(existsSync(join(kept, name, 'userConfigs/unpacked_configs/large')));
  const { warnings } = await receiptOf(site.root, id);
  assert.equal(warnings?.[0]?.code, 'config.too_large');
  assert.equal(await service.stop(), 0, 'nothing is held for it');
  const next = await site.run([], { USER_CONFIG_KEEP_HOURS: '0' }).ready();
  await next.line(({ msg }) => msg === REMOVED);
  assert.equal(await next.stop(), 0);
  assert.equal(existsSync(kept), false);
});

test('after a crash, wait runs until files over the limit have been kept long enough, and a starting service takes over', async () => {
  await using s3 = await S3.open();
  const { site, service, kept } = await leaveTooMuch(s3);
  await site.kill(service);
  await site.bury();
  await until('a wait process runs', () => site.waitLog.includes("kept users' files may be removed"));
  assert.equal(readdirSync(kept).length, 1);
  const next = await site.run([], { USER_CONFIG_KEEP_HOURS: '0' }).ready();
  await next.line(({ msg }) => msg === REMOVED);
  await site.kill(next);
  await site.bury();
  await site.over();
  assert.equal(existsSync(kept), false);
});
