/**
 * Runs test files with node:test. Files can be named; without any, all are run. Those in test/integration
 * get a host of their own each (support/own-host.sh).
 */

import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const given = process.argv.slice(2).map((file) => resolve(file));
const all = () =>
  ['integration', 'unit'].flatMap((kind) =>
    globSync(`${kind}/**/*.test.ts`, { cwd: import.meta.dirname }).sort(),
  );
const files = given.length > 0 ? given : all().map((file) => join(import.meta.dirname, file));

// node:test starts each file with process.execPath, and has no option for that.
process.env.TEST_NODE = process.execPath;
process.execPath = join(import.meta.dirname, 'support/own-host.sh');

run({ files, concurrency: 2, timeout: 180_000 })
  .on('test:fail', () => {
    process.exitCode = 1;
  })
  .compose(spec)
  .pipe(process.stdout);
