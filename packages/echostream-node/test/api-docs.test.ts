import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('the API pages are generated without a warning', async () => {
  const typedoc = join(import.meta.dirname, '../../../tools/typedoc/node_modules/typedoc/bin/typedoc');
  await promisify(execFile)(process.execPath, [typedoc, '--emit', 'none'], {
    cwd: join(import.meta.dirname, '..'),
  });
});
