/** Runs test files with node:test, and then searches everything that the service wrote and sent for secrets. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { inspect } from 'node:util';
import { findSecrets, sources } from './evidence.ts';
import { SECRETS } from './secrets.ts';

/** The number of slowest files that are printed. */
const SLOWEST = 30;
/** The number of characters of a failure that are printed immediately. */
const MOST = 3_000;

export interface RunOptions {
  readonly concurrency: number;
  /** Sources from which something must have been kept; missing: any. */
  readonly kept?: string | undefined;
  /** Prints a failure immediately too, for a machine that may not survive until the end. */
  readonly tellAtOnce?: boolean;
}

/** Sets the exit code. @returns a text for each failure */
export async function runFiles(
  files: readonly string[],
  { concurrency, kept, tellAtOnce = false }: RunOptions,
): Promise<string[]> {
  const evidence = mkdtempSync(join(tmpdir(), 'ecs-host-service-evidence-'));
  process.env.TEST_EVIDENCE = evidence;
  const { promise, resolve } = Promise.withResolvers<void>();
  const durations = new Map<string, number>();
  const failures: string[] = [];
  run({ files: [...files], concurrency, timeout: 600_000 })
    .on('test:fail', ({ name, details }) => {
      process.exitCode = 1;
      const why = inspect(details.error.cause).slice(-MOST);
      failures.push(`✖ ${name}\n${why}\n`);
      if (tellAtOnce) console.log(why);
    })
    .on('test:complete', ({ name, file = '', details }) => {
      // A file is a test with its own path as its name.
      if (name === file) durations.set(file, details.duration_ms);
    })
    .compose(spec)
    .on('end', resolve)
    .pipe(process.stdout, { end: false });
  await promise;
  searchEvidence(evidence, kept);
  if (files.length > SLOWEST) tellSlowest(durations);
  return failures;
}

/** The slowest files. */
function tellSlowest(durations: ReadonlyMap<string, number>): void {
  const slowest = [...durations].sort(([, a], [, b]) => b - a).slice(0, SLOWEST);
  const lines = slowest.map(
    ([file, milliseconds]) => `${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${relative('.', file)}\n`,
  );
  process.stdout.write(`the ${SLOWEST} slowest files:\n${lines.join('')}`);
}

/** Asserts that nothing that the service wrote or sent during the tests contains a secret. */
function searchEvidence(evidence: string, expected: string | undefined): void {
  const found = findSecrets(evidence, SECRETS);
  const kept = sources(evidence);
  rmSync(evidence, { recursive: true });
  if (expected !== undefined && kept.join() !== expected) {
    found.push(`only this was kept to be searched: ${kept.join(', ')}`);
  }
  process.stdout.write(`secrets: ${kept.join(', ') || 'nothing'} searched, ${found.length} found\n`);
  for (const line of found) process.stdout.write(`${line}\n`);
  if (found.length > 0) process.exitCode = 1;
}
