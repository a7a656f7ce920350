import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine, USAGE } from '../../src/command-line.ts';

test('without words the service runs', () => {
  assert.deepEqual(parseCommandLine([]), { name: 'run' });
});

test('each command is understood by its name', () => {
  for (const name of ['run', 'version', 'help']) assert.deepEqual(parseCommandLine([name]), { name });
});

test('the customary options for help and version are understood', () => {
  assert.deepEqual(parseCommandLine(['--help']), { name: 'help' });
  assert.deepEqual(parseCommandLine(['-h']), { name: 'help' });
  assert.deepEqual(parseCommandLine(['--version']), { name: 'version' });
});

test('the commands about configs say whose, and which version', () => {
  const whose = { user: 'user@example.com', app: 'browsers/chrome' };
  assert.deepEqual(parseCommandLine(['configs', 'list', whose.user, whose.app]), {
    name: 'configs list',
    ...whose,
  });
  assert.deepEqual(parseCommandLine(['configs', 'restore', whose.user, whose.app, 'v']), {
    name: 'configs restore',
    ...whose,
    version: 'v',
  });
});

test('the doctor looks at the host and its settings, at the host alone, or for leaks', () => {
  const options = { isHostAlone: false, isJson: false };
  assert.deepEqual(parseCommandLine(['doctor']), { name: 'doctor', ...options });
  assert.deepEqual(parseCommandLine(['doctor', '--json']), { name: 'doctor', ...options, isJson: true });
  for (const words of ['--host --json', '--json --host']) {
    const expected = { name: 'doctor', isHostAlone: true, isJson: true };
    assert.deepEqual(parseCommandLine(['doctor', ...words.split(' ')]), expected);
  }
  assert.deepEqual(parseCommandLine(['doctor', '--leaks']), { name: 'doctor --leaks' });
  for (const words of ['--leak', '--leaks more', '--leaks --json', '--host more', 'more']) {
    assert.equal(parseCommandLine(['doctor', ...words.split(' ')]), undefined, words);
  }
});

test('the settings are shown for people, or as JSON', () => {
  assert.deepEqual(parseCommandLine(['settings']), { name: 'settings', isJson: false });
  assert.deepEqual(parseCommandLine(['settings', '--json']), { name: 'settings', isJson: true });
  for (const words of ['--host', '--json more']) {
    assert.equal(parseCommandLine(['settings', ...words.split(' ')]), undefined, words);
  }
});

test('words that make no sense are not taken for a command', () => {
  for (const word of [
    '',
    'Run',
    'start',
    '--run',
    '-v',
    'constructor',
    '__proto__',
    'configs',
    'doctor --leaks',
  ]) {
    assert.equal(parseCommandLine([word]), undefined, word);
  }
});

test('words that are missing, or too many, make no sense', () => {
  for (const words of [
    'run run',
    'help run',
    '--help ',
    'configs list user',
    'configs list user app more',
    'configs restore user app',
    'configs restore user app version more',
    'configs remove user app',
  ]) {
    assert.equal(parseCommandLine(words.split(' ')), undefined, words);
  }
});

test('the usage names every command and ends its last line', () => {
  for (const command of ['run', 'configs list', 'configs restore', 'version', 'help']) {
    assert.match(USAGE, new RegExp(`^  ${command} `, 'm'));
  }
  assert.ok(USAGE.endsWith('\n'));
});
