import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readEnvFile } from '../../src/operator/env-file.ts';

test("a file of environment variables is parsed like Docker's, and an error shows only the number of the invalid line", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'env-file-'));
  const file = join(directory.path, 'env');
  const read = async (text: string) => {
    await writeFile(file, text);
    return readEnvFile(file, { TAKEN: 'from outside', _1: '' });
  };
  assert.deepEqual(
    await read('\uFEFFA=b=c \r\n\n  # B=comment\n\tC="as it is" # too\nEMPTY=\nA=later\nTAKEN\n_1\n'),
    { A: 'later', C: '"as it is" # too', EMPTY: '', TAKEN: 'from outside', _1: '' },
  );
  assert.deepEqual(await read(''), {});
  for (const [text, why] of [
    ['A=1\n\n=hidden', 'line 3 is not NAME=VALUE'],
    ['1A=hidden', 'line 1 is not NAME=VALUE'],
    ['export A=hidden', 'line 1 is not NAME=VALUE'],
    ['A =hidden', 'line 1 is not NAME=VALUE'],
    ['hidden value', 'line 1 is not NAME=VALUE'],
    ['# hidden\nhidden', 'the name on line 2 is not in the environment'],
  ] as const) {
    await assert.rejects(read(text), ({ message }: Error) => {
      assert.ok(message.startsWith(`--env-from ${file} cannot be used: ${why}; `), message);
      return !message.includes('hidden');
    });
  }
});
