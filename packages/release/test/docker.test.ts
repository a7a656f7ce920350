/** Docker's command line, simulated by a script that fails a given number of times. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dockerFor } from '../src/images/docker.ts';

/** Fails the first `failures` times. */
async function script(failures: number) {
  const place = await mkdtempDisposable(join(tmpdir(), 'docker-'));
  const calls = join(place.path, 'calls');
  const text = `#!/bin/sh\necho "$*" >> ${calls}\ntest "$(wc -l < ${calls})" -gt ${failures}\n`;
  await writeFile(join(place.path, 'docker'), text, { mode: 0o755 });
  const stop = new AbortController();
  const told: string[] = [];
  const tell = ({ text }: { readonly text: string }) => void told.push(text);
  const env = { PATH: `${place.path}:${process.env.PATH}` };
  return {
    ...{ docker: dockerFor(env, stop.signal, tell), told, stop },
    calls: async () => (await readFile(calls, 'utf8')).trim().split('\n'),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

test('a push or a pull that fails is repeated once, and nothing else is', async () => {
  for (const command of ['push', 'pull']) {
    await using once = await script(1);
    await once.docker([command, 'web:one']);
    assert.deepEqual(await once.calls(), [`${command} web:one`, `${command} web:one`]);
    assert.match(once.told.join(), /exited with code 1; trying once more/);
    await using twice = await script(2);
    await assert.rejects(twice.docker([command, 'web:one']), { kind: 'failed' });
    assert.equal((await twice.calls()).length, 2);
  }
  await using build = await script(1);
  await assert.rejects(build.docker(['build', '.']), { kind: 'failed' });
  assert.equal((await build.calls()).length, 1);
});

test('an abort during docker rejects with the reason of the abort', async () => {
  await using world = await script(0);
  const reason = new Error('interrupted');
  world.stop.abort(reason);
  await assert.rejects(world.docker(['push', 'web:one']), reason);
});
