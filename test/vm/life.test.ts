import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GuestHost } from './guest-host.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());

function show(program: string): string {
  const path = join(import.meta.dirname, program);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

test('the demo shows two containers from beginning to end, each with three input devices', async () => {
  const stdout = show('demo.mjs');
  assert.match(stdout, /container B: ready\. It found tty 11/);
  assert.match(stdout, /41 resources were allotted, 41 seen released: nothing is left\./);
  assert.equal(
    stdout.match(/input devices\s+absolute pointer, relative mouse, keyboard/g)?.length,
    2,
    stdout,
  );
  await host.finish();
});

test("a user's files outlive their container and an outage of S3, on such a host too", async () => {
  const stdout = show('demo-configs.mjs');
  assert.match(stdout, /container B: its user config is restored; .* before: 1/);
  assert.match(stdout, /container C: its user config is restored; .* before: 2/);
  await host.finish();
});
