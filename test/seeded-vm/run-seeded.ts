/** In the guest that booted from an ISO: runs the tests of it. */

import { join } from 'node:path';
import { runFiles } from '../support/run-files.ts';

process.exitCode = 0;
await runFiles([join(import.meta.dirname, 'seeded-vm.test.mjs')], { concurrency: 1, tellAtOnce: true });
