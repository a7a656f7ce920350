/** Checks the specification: each promise is made once, and names an existing test. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The titles of all tests in the sources; parts that a loop fills in are written `…`. */
const titles = globSync('test/**/*.test.ts', { cwd: ROOT })
  .flatMap((file) => [...read(file).matchAll(/(?<![.\w])test\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)])
  .map(([, , text = '']) => text.replace(/\\(.)/g, '$1').replace(/\$\{[^}]*\}/g, '…'));

test("each promise of the release tool's specification is a unique sentence that names its test", () => {
  const lines = read('docs/specification.md')
    .split('\n')
    .filter((line) => /^\s*[-*+] /.test(line));
  const promises = lines.map((line) => {
    const [, promise = '', title = ''] = /^- ([A-Z`].*\.) — test: `([^`]+)`$/.exec(line) ?? [];
    assert.notEqual(promise, '', `not a promise with its test: ${line}`);
    assert.equal(titles.filter((one) => one === title).length, 1, `not the title of one test: "${title}"`);
    return promise;
  });
  assert.ok(promises.length >= 40, `only ${promises.length} promises`);
  assert.equal(new Set(promises).size, promises.length);
});
