/**
 * The ledger's record of the console in front, and the addon's calls. The tests in the guest check that the kernel keeps the
 * console there.
 */

import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { frontConsoleIn } from '../../ttys/front-console.ts';
import { addon } from '../../uinput-native/addon.ts';

test('the ledger names the console that a dead service left in front, and the one before it', () => {
  const owner = { kind: 'service' };
  const others = { kind: 'file', what: '/fractalprivate/cert.pem', owner, lifetime: 'service' };
  const left = { kind: 'front console', what: 'tty9 instead of tty1', owner, lifetime: 'service' };
  assert.deepEqual(frontConsoleIn([others, left]), { own: 9, before: 1 });
  assert.equal(frontConsoleIn([others]), undefined);
  assert.equal(frontConsoleIn([{ ...left, what: 'tty9' }]), undefined);
});

test('a file that is not a console has no state and cannot be controlled', () => {
  const fd = openSync('/dev/null', 'r');
  assert.throws(() => addon().consoleState(fd), { code: 'ENOTTY' });
  assert.throws(() => addon().controlConsole(fd, 'lock', 0), { code: 'ENOTTY' });
});

test('a console is controlled through a descriptor, the name of a control, and a number', () => {
  assert.throws(() => addon().consoleState('1' as never), { name: 'TypeError', message: /^fd must be/ });
  assert.throws(() => addon().controlConsole(0, 'anything' as never, 0), {
    name: 'TypeError',
    message: /^control must be/,
  });
  assert.throws(() => addon().controlConsole(0, 'lock', 0.5), { message: /^number must be/ });
});
