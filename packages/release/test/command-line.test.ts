import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { countOf, durationOf } from '../src/cli/options.ts';
import { parse } from '../src/cli/program.ts';
import { ROWS } from '../src/cli/rows.ts';
import { run } from './support/tool.ts';

test('each command has help with an example that the parser accepts', () => {
  for (const { name, example } of ROWS) {
    const help = parse([name, '--help']);
    assert.equal(help.is, 'help', name);
    assert.match(help.is === 'help' ? help.text : '', /Example: ecs-release/);
    const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    const parsed = parse(words);
    assert.equal(parsed.is === 'command' ? parsed.row.name : parsed, name);
  }
});

test('everything after -- belongs to the command in the container, including options', () => {
  const run = parse(['run', 'migrate', '--service', 'web', '--', 'manage', 'migrate', '--plan']);
  assert.ok(run.is === 'command');
  assert.deepEqual(run.given.words, ['migrate', 'manage', 'migrate', '--plan']);
  assert.equal(run.given.text('service'), 'web');
  const exec = parse(['exec', '--no-tty', '--service', 'web', 'report', '--today']);
  assert.ok(exec.is === 'command');
  assert.deepEqual(exec.given.words, ['report', '--today']);
  assert.deepEqual([exec.given.flag('tty'), exec.given.flag('shell')], [false, true]);
});

test('an unknown command or option is a usage error with a hint', async () => {
  for (const words of [['deplyo'], ['deploy', '--stgae', 'x'], ['scale', 'worker']]) {
    const parsed = parse(words);
    assert.ok(parsed.is === 'misfit');
    assert.match(parsed.text, /ecs-release --help/);
  }
  const { code, stderr } = await run(['deplyo'], { cwd: tmpdir() });
  assert.equal(code, 2, stderr);
});

test('if the stage or the configuration is missing, the error says what to do', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'release-cli-'));
  const none = await run(['status'], { cwd: place.path, env: { ECS_RELEASE_STAGE: '' } });
  assert.equal(none.code, 2);
  const missing = await run(['status', '--stage', 'x'], { cwd: place.path });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /ecs-release init/);
  await writeFile(join(place.path, 'ecs-release.yaml'), 'application: 1');
  const wrong = await run(['status', '--stage', 'x'], { cwd: place.path });
  assert.match(wrong.stderr, /does not match its schema/);
});

test('with --json, an error is a JSON line with its kind and exit code', async () => {
  const { code, stderr } = await run(['status', '--stage', 'x', '--json'], { cwd: tmpdir() });
  const { event, kind, exitCode, text } = JSON.parse(stderr);
  assert.deepEqual([code, event, kind, exitCode], [2, 'error', 'usage', 2]);
  assert.match(text, /ecs-release init/);
});

test('every command that changes or starts something takes --dry-run', () => {
  const reads = [
    'plan',
    'status',
    'history',
    'wait',
    'schedules',
    'tasks',
    'logs',
    'render',
    'describe',
    'verify',
    'doctor',
  ];
  for (const { name, options = [] } of ROWS)
    assert.equal(
      options.some(({ flags }) => flags === '--dry-run'),
      !reads.includes(name),
      name,
    );
});

test('an option with an invalid number or duration is a usage error', () => {
  const given = (words: readonly string[]) => {
    const parsed = parse(words);
    assert.ok(parsed.is === 'command');
    return parsed.given;
  };
  assert.throws(
    () => countOf(given(['history', '--limit', 'ten']), 'limit', 20),
    /--limit must be a whole number/,
  );
  assert.throws(
    () => durationOf(given(['wait', '--timeout', '10']), 'timeout'),
    /--timeout must be a duration/,
  );
  assert.equal(durationOf(given(['wait', '--timeout', '10m']), 'timeout'), 600_000);
});

test('the explain command needs no stage', async () => {
  const { code, stdout } = await run(['doctor', 'Could not resolve entrypoint!'], { cwd: tmpdir() });
  assert.equal(code, 0);
  assert.match(stdout, /application_type is not set/);
});
