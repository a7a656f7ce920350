import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine, USAGE } from '../../src/command-line.ts';

test('without words the service runs', () => {
  assert.equal(parseCommandLine([]), 'run');
});

test('each command is understood by its name', () => {
  for (const command of ['run', 'version', 'help']) assert.equal(parseCommandLine([command]), command);
});

test('the customary options for help and version are understood', () => {
  assert.equal(parseCommandLine(['--help']), 'help');
  assert.equal(parseCommandLine(['-h']), 'help');
  assert.equal(parseCommandLine(['--version']), 'version');
});

test('words that make no sense are not taken for a command', () => {
  for (const word of ['', 'Run', 'start', '--run', '-v', 'constructor', '__proto__']) {
    assert.equal(parseCommandLine([word]), undefined, word);
  }
});

test('words behind the command make no sense', () => {
  assert.equal(parseCommandLine(['run', 'run']), undefined);
  assert.equal(parseCommandLine(['help', 'run']), undefined);
  assert.equal(parseCommandLine(['--help', '']), undefined);
});

test('the usage names every command and ends its last line', () => {
  for (const command of ['run', 'version', 'help']) assert.match(USAGE, new RegExp(`^  ${command} `, 'm'));
  assert.ok(USAGE.endsWith('\n'));
});
