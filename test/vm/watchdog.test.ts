import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { GuestHost } from './guest-host.ts';
import { show } from './unit-service.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('systemd kills a service that is stopped, after it was ready, and has it buried', async () => {
  const service = await host.start();
  while (show('ActiveState') !== 'active') await pause(20);
  const { pid } = service;
  execFileSync('kill', ['-STOP', String(pid)]);
  for (const patience = AbortSignal.timeout(60_000); show('ActiveState') !== 'failed'; await pause(100)) {
    patience.throwIfAborted();
  }
  assert.deepEqual([show('Result'), show('ExecMainStatus')], ['watchdog', '9']);
  assert.match(show('ExecStopPost'), / bury .*start_time=\[[A-Z]/, 'it ran');
  execFileSync('systemctl', ['reset-failed', 'ecs-host-service']);
  host.clearAfterKill();
});
