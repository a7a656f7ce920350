/** Upgrades of a host with 20 containers whose users are busy. `make upgrades COUNT=50` makes more of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyHost } from '../support/busy-host.ts';
import { S3 } from '../support/s3.ts';
import { importShellImage } from '../support/shell-image.ts';
import { TestHost } from '../support/test-host.ts';

const { UPGRADES = '5' } = process.env;
/** The time limit in milliseconds for all upgrades. */
const timeout = Number(UPGRADES) * 120_000;

test('however often a busy host is upgraded, no container ends, nothing leaks, and no call and no acknowledged key stroke is lost', {
  timeout,
}, async () => {
  await using host = await TestHost.open();
  await importShellImage(host.docker);
  await using s3 = await S3.open();
  const root = host.newRoot();
  const env = { ROOT: root, ...s3.settings, USER_CONFIG_CHECKPOINT_SECONDS: '1' };
  const service = await host.start({ launcher: [], env }).ready();
  await using busy = await BusyHost.open({ host, root, service, s3 });
  for (let upgrades = 0; upgrades < Number(UPGRADES); upgrades++) await busy.upgrade();
  await busy.end();
  const doctor = host.start({ env: { ROOT: root }, arguments: ['doctor', '--leaks'] });
  assert.equal(await doctor.ended(), 0, doctor.log());
  assert.equal(await service.stop(), 0, service.log());
  await busy.audit();
  await host.finish();
});
