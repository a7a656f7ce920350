import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Line } from '../support/service-log.ts';
import { GuestHost } from './guest-host.ts';
import { show } from './unit-service.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());

function journal(boot: number): Line[] {
  const words = ['--boot', String(boot), '--unit', 'ecs-host-service', '--output=cat'];
  const lines = execFileSync('journalctl', words, { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

test('a host that restarts ends its containers, notifies the webserver, and leaves nothing behind', () => {
  const lines = journal(-1);
  const last = lines.slice(lines.findLastIndex(({ msg }) => msg === 'hosting containers'));
  const told = last.map(({ msg }) => msg);
  assert.ok(told.includes('asked to stop'), told.join('\n'));
  assert.equal(last.find(({ msg }) => msg === 'container is gone')?.cause, 'every resource was released');
  assert.equal(last.at(-1)?.msg, 'ended');
  assert.equal(last.at(-1)?.exitCode, 0);
});

test('after the restart the service runs again, with input devices for new containers', async () => {
  for (const patience = AbortSignal.timeout(60_000); ; await pause(100)) {
    patience.throwIfAborted();
    if (show('ActiveState') === 'active') break;
  }
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  execFileSync('systemctl', ['stop', 'ecs-host-service']);
  assert.equal(show('ExecMainStatus'), '0');
  await host.finish();
});
