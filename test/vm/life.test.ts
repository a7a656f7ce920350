import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { GuestHost } from './guest-host.ts';

const run = promisify(execFile);

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());

/** It is not synchronous, because Docker may meanwhile close connections that would be used again. */
async function show(program: string): Promise<string> {
  return (await run(process.execPath, [join(import.meta.dirname, program)])).stdout;
}

test('the demo shows two containers from start to end, each with three input devices', async () => {
  const stdout = await show('demo.mjs');
  assert.match(stdout, /container B: ready\. Its program found tty 11/);
  assert.match(stdout, /\b(\d+) resources were allotted, and \1 were released: nothing is left\./);
  assert.equal(
    stdout.match(/input devices\s+absolute pointer, relative mouse, keyboard/g)?.length,
    2,
    stdout,
  );
  await host.finish();
});

// Three containers, one after the other, which takes minutes on a busy machine.
test("a user's files outlive their container and an outage of S3, on such a host too", {
  timeout: 600_000,
}, async () => {
  const stdout = await show('demo-configs.mjs');
  assert.match(
    stdout,
    /container B: its user config is restored; marks that earlier containers left in it: 1/,
  );
  assert.match(
    stdout,
    /container C: its user config is restored; marks that earlier containers left in it: 2/,
  );
  await host.finish();
});
