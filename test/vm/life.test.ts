import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GuestHost } from './guest-host.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());

test('the demo shows two containers from beginning to end, each with three input devices', async () => {
  const program = join(import.meta.dirname, 'demo.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /container B: ready\. It found tty 11/);
  assert.match(stdout, /41 resources were allotted, 41 seen released: nothing is left\./);
  assert.equal(
    stdout.match(/input devices\s+absolute pointer, relative mouse, keyboard/g)?.length,
    2,
    stdout,
  );
  await host.finish();
});
