import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from '../../scripts/packages.ts';

const MANIFEST = {
  name: 'a',
  version: '1.2.0',
  exports: { '.': { types: './dist/main.d.ts', default: './dist/main.js' } },
};
const CHANGELOG = '# Changelog\n\n## 1.2.0\n\n- New.\n\n## 1.1.0\n';
const FILES = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'dist/main.d.ts', 'dist/main.js'];

test('a package contains its pages, its exports, and a changelog of its version, and nothing else', () => {
  assert.deepEqual(problemsOf(MANIFEST, CHANGELOG, FILES), []);
  for (const [problem, changelog, files] of [
    [/^dist\/main\.d\.ts is not in it$/, CHANGELOG, FILES.filter((file) => !file.endsWith('.d.ts'))],
    [/^LICENSE is not in it$/, CHANGELOG, FILES.filter((file) => file !== 'LICENSE')],
    [/^src\/main\.ts does not belong in it$/, CHANGELOG, [...FILES, 'src/main.ts']],
    [/^dist\/\.env does not belong in it$/, CHANGELOG, [...FILES, 'dist/.env']],
    [/^the newest version in CHANGELOG\.md is 1\.1\.0, not 1\.2\.0$/, '## 1.1.0\n', FILES],
    [/^the newest version in CHANGELOG\.md is undefined, not 1\.2\.0$/, '', FILES],
  ] as const) {
    const [found = '', ...others] = problemsOf(MANIFEST, changelog, files);
    assert.match(found, problem);
    assert.deepEqual(others, []);
  }
});
