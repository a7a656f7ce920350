import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from '../src/cli/program.ts';
import { ROWS } from '../src/cli/rows.ts';
import { run } from './support/tool.ts';

test('each command has help with an example, and the example is understood', () => {
  for (const { name, example } of ROWS) {
    const help = parse([name, '--help']);
    assert.equal(help.is, 'help', name);
    assert.match(help.is === 'help' ? help.text : '', /Example: ecs-release/);
    const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    const parsed = parse(words);
    assert.equal(parsed.is === 'command' ? parsed.row.name : parsed, name);
  }
});

test('what stands behind -- belongs to the command in the container, options too', () => {
  const run = parse(['run', 'migrate', '--service', 'web', '--', 'manage', 'migrate', '--plan']);
  assert.ok(run.is === 'command');
  assert.deepEqual(run.given.words, ['migrate', 'manage', 'migrate', '--plan']);
  assert.equal(run.given.text('service'), 'web');
  const exec = parse(['exec', '--no-tty', '--service', 'web', 'report', '--today']);
  assert.ok(exec.is === 'command');
  assert.deepEqual(exec.given.words, ['report', '--today']);
  assert.deepEqual([exec.given.flag('tty'), exec.given.flag('shell')], [false, true]);
});

test('a command that does not exist, and an option, are wrong usage with a hint', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'release-cli-'));
  for (const words of [['deplyo'], ['deploy', '--stgae', 'x'], ['scale', 'worker']]) {
    const { code, stderr } = await run(words, { cwd: place.path });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /ecs-release --help/);
  }
});

test('without a stage, and without a configuration, the error says what to do', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'release-cli-'));
  const none = await run(['status'], { cwd: place.path, env: { ECS_RELEASE_STAGE: '' } });
  assert.equal(none.code, 2);
  const missing = await run(['status', '--stage', 'x'], { cwd: place.path });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /ecs-release init/);
  await writeFile(join(place.path, 'ecs-release.yaml'), 'application: 1');
  const wrong = await run(['status', '--stage', 'x'], { cwd: place.path });
  assert.match(wrong.stderr, /does not fit its schema/);
});

test('an error is explained without any stage', async () => {
  const { code, stdout } = await run(['doctor', 'Could not resolve entrypoint!'], { cwd: tmpdir() });
  assert.equal(code, 0);
  assert.match(stdout, /application_type is not set/);
});
