/** How a shell on the host is started. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordsFor } from '../../ttys/shell-keeper.ts';
import { SHELL_SCOPES } from '../../ttys/shell-scope.ts';

const ONE = {
  terminal: '0123456789abcdef',
  user: { uid: '1000', gid: '1000', home: '/home/visitor', shell: '/bin/sh' },
  type: 'xterm',
  path: '/dev/pts/7',
};

test('under systemd, a shell on the host runs in a scope whose name bury knows', () => {
  const words = wordsFor({ ...ONE, hasScope: true });
  assert.deepEqual(words.slice(0, 2), ['systemd-run', '--scope']);
  const [unit = ''] = words.flatMap((word) => /^--unit=(.*)$/.exec(word)?.[1] ?? []);
  assert.ok(unit.startsWith(SHELL_SCOPES.split('*')[0] as string) && unit.endsWith('.scope'));
  assert.equal(wordsFor({ ...ONE, hasScope: false })[0], 'sh');
});

test('in the words for a shell on the host, systemd-run finds no variable to expand', () => {
  // Source: systemd-run(1) on --expand-environment.
  for (const word of wordsFor({ ...ONE, hasScope: true })) assert.doesNotMatch(word, /^\$|\$[{$]/);
});
