/** The service as a supervisor sees it: systemd, which a receiver plays, or the launcher. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { Launched } from '../support/launched.ts';
import { Receiver } from '../support/receiver.ts';
import { TestHost } from '../support/test-host.ts';

const DYING = join(import.meta.dirname, '../support/dying-service.ts');
const WATCHED = { NOTIFY_SOCKET: '/run/test/notify', WATCHDOG_USEC: '300000' };

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

function assertLived(heard: readonly string[]): void {
  assert.ok(heard.length > 0 && heard.every((word) => word === 'WATCHDOG=1'), heard.join());
}

test('systemd is notified when the service is ready and when it stops, and receives keepalives until it has ended', async () => {
  await using receiver = await Receiver.open(WATCHED.NOTIFY_SOCKET);
  const words = { entry: 'dying-service.ts', arguments: ['release-waits', 'listener'], env: WATCHED };
  const service = await host.start(words).ready();
  assertLived(await receiver.until('READY=1'));
  service.child.kill('SIGTERM');
  assertLived([...(await receiver.until('STOPPING=1')), await receiver.next()]);
  await service.line(({ msg, kind }) => msg === 'releasing' && kind === 'listener');
  assert.equal(await service.stop('SIGURG'), 0);
});

test('a service that is stopped in the last step of its start never reports that it is ready', async () => {
  await using receiver = await Receiver.open('/run/test/unready');
  const env = { ...WATCHED, NOTIFY_SOCKET: '/run/test/unready' };
  const service = host.start({ entry: 'dying-service.ts', arguments: ['step-waits', 'heartbeats'], env });
  await service.waiting();
  service.child.kill('SIGTERM');
  assertLived(await receiver.until('STOPPING=1'));
  await service.message('asked to stop');
  assert.equal(await service.stop('SIGURG'), 0);
});

test('a service whose event loop is blocked is killed by the launcher, and the burial command runs', async () => {
  const env = { APP_ENV: 'localdev', ROOT: host.newRoot(), AWS_EC2_METADATA_DISABLED: 'true' };
  using launched = new Launched([process.execPath, ...NODE_FLAGS, DYING, 'blocks'], { env });
  const { pid } = JSON.parse(await launched.line(/"step":"heartbeats"/));
  execFileSync('kill', ['-s', 'URG', String(pid)]);
  assert.equal(await launched.ended(), 137);
  assert.deepEqual(launched.told, ['watchdog', 'killed', 'KILL']);
  assert.equal(launched.environment.MAIN_PID, String(pid));
});
