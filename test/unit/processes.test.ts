import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { variablesOf } from '../../host/processes.ts';

test("at most 1 MiB of a process's environment is read", async () => {
  const large = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`LARGE_${i}`, 'x'.repeat(120_000)]));
  const child = spawn('sleep', ['60'], { env: { FIRST: 'one', ...large, PATH: process.env.PATH } });
  try {
    await once(child, 'spawn');
    const variables = await variablesOf(child.pid as number);
    assert.ok(variables.includes('FIRST=one'));
    assert.ok(variables.join('\0').length <= 2 ** 20);
  } finally {
    child.kill();
  }
});
