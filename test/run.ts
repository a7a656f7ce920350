/**
 * Runs test files with node:test. Without arguments it runs all files, including those of the packages. Each file in
 * test/integration and test/browser gets its own host (support/own-host.sh). Files with a browser run last and one at a time,
 * because a browser needs both processors.
 */

import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runFiles } from './support/run-files.ts';

const given = process.argv.slice(2).map((file) => resolve(file));
const ALL = [
  'test/integration/**/*.test.ts',
  'packages/*/test/**/*.test.ts',
  'test/unit/**/*.test.ts',
  'test/browser/**/*.test.ts',
];
const ROOT = join(import.meta.dirname, '..');
const all = () => ALL.flatMap((some) => globSync(some, { cwd: ROOT }).sort());
const files = given.length > 0 ? given : all().map((file) => join(ROOT, file));

// node:test starts each file with process.execPath, and has no option to change that.
process.env.TEST_NODE = process.execPath;
process.execPath = join(import.meta.dirname, 'support/own-host.sh');

// Sources are otherwise compiled again for each file and each start of the service.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, 'build/compile-cache');

// No AWS client of a test requests credentials from the metadata of this machine.
process.env.AWS_EC2_METADATA_DISABLED = 'true';

const kept = given.length > 0 ? undefined : 'children,docker,ec2,log,logzio,sentry,webserver';
const { alone = [], together = [] } = Object.groupBy(files, (file) =>
  file.includes('/test/browser/') ? 'alone' : 'together',
);
const failures = [
  ...(together.length > 0 ? await runFiles(together, { concurrency: 3, kept }) : []),
  ...(alone.length > 0 ? await runFiles(alone, { concurrency: 1 }) : []),
];
// Once more at the end, where a reader of a long log looks first.
process.stdout.write(failures.join(''));
