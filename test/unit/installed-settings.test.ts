/** The settings of the installed service, as commands read them from its files. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { withInstalled } from '../../settings/installed.ts';

const directory = mkdtempSync(join(tmpdir(), 'installed-'));
after(() => rmSync(directory, { recursive: true }));

test('commands read the installed settings as systemd gives them to the service', () => {
  const lines = [
    '# a comment',
    'APP_ENV=production',
    'PLAIN = it\'s "so" ',
    'PLAIN_BACKSLASH=a\\b\\\\c',
    'DOUBLE="a \\"b\\" \\\\ \\$c \\d"',
    'SINGLE=\'a \\ "b"\'',
  ];
  writeFileSync(join(directory, 'environment'), lines.join('\n'));
  assert.deepEqual(withInstalled({ HOME: '/root' }, directory), {
    APP_ENV: 'production',
    CREDENTIALS_DIRECTORY: join(directory, 'credentials'),
    HOME: '/root',
    PLAIN: 'it\'s "so"',
    PLAIN_BACKSLASH: 'ab\\c',
    DOUBLE: 'a "b" \\ $c \\d',
    SINGLE: 'a \\ "b"',
  });
});
