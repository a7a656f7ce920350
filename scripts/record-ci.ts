/**
 * Runs all that a change must pass on a clean clone of what is committed, and commits what came of it as a line of a
 * table, so that a test that fails now and then is seen to.
 *
 *   node scripts/record-ci.ts [idle|busy]
 *
 * `busy` keeps two cores at work meanwhile.
 */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TABLE = 'docs/ci-runs.md';
const HEAD = `# Runs of all tests

\`make record-ci\` runs \`.ci/run\` on a clean clone and adds a line here. \`busy\` means that other programs kept two cores at work.

| date | commit | load | minutes | outcome |
| ---- | ------ | ---- | ------- | ------- |
`;
const [load = 'idle'] = process.argv.slice(2);

function git(...words: string[]): string {
  return execFileSync('git', words, { encoding: 'utf8' }).trim();
}

/** @returns what failed, by the titles of tests */
function failures(log: string): string {
  const titles = [...log.matchAll(/^\s*✖ (.+?)(?: \([\d.]+ms\))?$/gm)].map(([, title = '']) => title);
  const tests = new Set(titles.filter((title) => title !== 'failing tests:' && !title.startsWith('/')));
  return tests.size > 0 ? [...tests].map((title) => `\`${title}\``).join(', ') : 'failed outside of tests';
}

const commit = git('rev-parse', '--short', 'HEAD');
const work = mkdtempSync(join(tmpdir(), 'record-ci-'));
const log = join(work, 'log');
const others = load === 'busy' ? [1, 2].map(() => spawn(process.execPath, ['-e', 'for (;;);'])) : [];
try {
  const clone = join(work, 'clone');
  git('clone', '--quiet', '.', clone);
  const began = Date.now();
  const run = spawn('.ci/run', { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'] });
  const kept = createWriteStream(log);
  for (const stream of [run.stdout, run.stderr]) {
    stream.pipe(kept, { end: false });
    stream.pipe(process.stdout, { end: false });
  }
  const [code] = await once(run, 'close');
  const outcome = code === 0 ? 'passed' : failures(readFileSync(log, 'utf8'));
  if (!existsSync(TABLE)) writeFileSync(TABLE, HEAD);
  const date = new Date(began).toISOString().slice(0, 16).replace('T', ' ');
  const minutes = Math.round((Date.now() - began) / 60_000);
  appendFileSync(TABLE, `| ${date} | ${commit} | ${load} | ${minutes} | ${outcome} |\n`);
  git('commit', '--quiet', '--message', `docs: a run of all tests on ${commit}`, '--', TABLE);
  process.exitCode = code ?? 1;
} finally {
  for (const other of others) other.kill();
  rmSync(work, { recursive: true });
}
