import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { findSecrets, sources } from '../support/evidence.ts';

const SECRET = 'a "secret" of\\this test';

/** The secrets that are found in files with these texts. */
async function find(files: Readonly<Record<string, string>>, secrets: readonly string[]): Promise<string[]> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'evidence-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory.path, name), text);
  return findSecrets(directory.path, secrets).sort();
}

for (const [form, text] of [
  ['in plain text', SECRET],
  ['within JSON', JSON.stringify({ field: SECRET })],
  ['within a URL', `https://host/?key=${encodeURIComponent(SECRET)}`],
] as const) {
  test(`a secret that was kept ${form} is found`, async () => {
    assert.deepEqual(await find({ 'log-7': `before\nx ${text} y\nafter\n` }, [SECRET]), [
      `log-7: x ${text} y`,
    ]);
  });
}

test('each of several secrets is found, in each line of each file', async () => {
  const files = { 'log-1': 'one\ntwo and one\n', 'log-2': 'nothing\n', 'sentry-1': 'two\n' };
  assert.deepEqual(await find(files, ['one', 'two']), ['log-1: one', 'log-1: two and one', 'sentry-1: two']);
});

test('no secret is found in output without one', async () => {
  assert.deepEqual(await find({ 'log-1': 'a secret of this test\n\n' }, [SECRET]), []);
  assert.deepEqual(await find({}, [SECRET]), []);
});

test('each source of kept output is named once, whatever process wrote it', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'evidence-'));
  for (const name of ['webserver-12', 'log-1', 'log-34567', 'log-2'])
    await writeFile(join(directory.path, name), '');
  assert.deepEqual(sources(directory.path), ['log', 'webserver']);
});

test('kept output is searched, and without a directory for it nothing is kept', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'evidence-'));
  const evidence = JSON.stringify(join(import.meta.dirname, '../support/evidence.ts'));
  const script = `import { keep } from ${evidence}; keep('log', ${JSON.stringify(`x ${SECRET}`)}); keep('log', 'y');`;
  const arguments_ = ['--input-type=module', '--eval', script];
  const { TEST_EVIDENCE: _, ...env } = process.env;
  const run = (more: object) =>
    promisify(execFile)(process.execPath, arguments_, { env: { ...env, ...more } });
  await run({});
  assert.deepEqual(sources(directory.path), []);
  await run({ TEST_EVIDENCE: directory.path });
  assert.deepEqual(sources(directory.path), ['log']);
  const found = findSecrets(directory.path, [SECRET, 'y']);
  assert.deepEqual(
    found.map((line) => line.replace(/^log-\d+: /, '')),
    [`x ${SECRET}`, 'y'],
  );
});
