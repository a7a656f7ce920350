/**
 * Runs test files with node:test. Files can be named; without any, all are run. Those in test/integration
 * get a host of their own each (support/own-host.sh).
 */

import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { findSecrets, sources } from './support/evidence.ts';
import { SECRETS } from './support/secrets.ts';

const given = process.argv.slice(2).map((file) => resolve(file));
const all = () =>
  ['integration', 'unit'].flatMap((kind) =>
    globSync(`${kind}/**/*.test.ts`, { cwd: import.meta.dirname }).sort(),
  );
const files = given.length > 0 ? given : all().map((file) => join(import.meta.dirname, file));

// node:test starts each file with process.execPath, and has no option for that.
process.env.TEST_NODE = process.execPath;
process.execPath = join(import.meta.dirname, 'support/own-host.sh');

const evidence = mkdtempSync(join(tmpdir(), 'ecs-host-service-evidence-'));
process.env.TEST_EVIDENCE = evidence;

run({ files, concurrency: 2, timeout: 180_000 })
  .on('test:fail', () => {
    process.exitCode = 1;
  })
  .compose(spec)
  .on('end', searchEvidence)
  .pipe(process.stdout);

/** Whatever the service wrote or sent while it was tested, no secret may be in it. */
function searchEvidence(): void {
  const found = findSecrets(evidence, SECRETS);
  const kept = sources(evidence);
  rmSync(evidence, { recursive: true });
  if (given.length === 0 && kept.join() !== 'children,docker,log,logzio,sentry,webserver') {
    found.push(`only this was kept to be searched: ${kept.join(', ')}`);
  }
  process.stdout.write(`secrets: ${kept.join(', ') || 'nothing'} searched, ${found.length} found\n`);
  for (const line of found) process.stdout.write(`${line}\n`);
  if (found.length > 0) process.exitCode = 1;
}
