/**
 * Runs all checks on a clean clone of the current commit, and commits the result as a row of a table, so that tests
 * that fail only sometimes are noticed.
 *
 *   node scripts/record-ci.ts [idle|busy]
 *
 * `busy` keeps two cores at work during the run.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addRow, git, run } from './recorded-runs.ts';

const TABLE = {
  path: 'docs/ci-runs.md',
  head: `# Runs of all tests

\`make record-ci\` runs \`.ci/run\` on a clean clone and adds a line here. \`busy\` means that other programs kept two cores at work.

| date | commit | load | minutes | outcome |
| ---- | ------ | ---- | ------- | ------- |
`,
};
const [load = 'idle'] = process.argv.slice(2);

/** @returns the titles of the tests that failed */
function failures(log: string): string {
  const titles = [...log.matchAll(/^\s*✖ (.+?)(?: \([\d.]+ms\))?$/gm)].map(([, title = '']) => title);
  const tests = new Set(titles.filter((title) => title !== 'failing tests:' && !title.startsWith('/')));
  return tests.size > 0 ? [...tests].map((title) => `\`${title}\``).join(', ') : 'failed outside of tests';
}

const commit = git('rev-parse', '--short', 'HEAD');
const clone = mkdtempSync(join(tmpdir(), 'record-ci-'));
const others = load === 'busy' ? [1, 2].map(() => spawn(process.execPath, ['-e', 'for (;;);'])) : [];
try {
  git('clone', '--quiet', '.', clone);
  const { code, log, date, minutes } = await run(['.ci/run'], clone);
  const outcome = code === 0 ? 'passed' : failures(log);
  addRow(TABLE, [date, commit, load, minutes, outcome], `docs: a run of all tests on ${commit}`);
  process.exitCode = code;
} finally {
  for (const other of others) other.kill();
  rmSync(clone, { recursive: true });
}
