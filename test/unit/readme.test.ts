import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { withAccepted } from '../../scripts/accepted-doc.ts';
import { apiDoc, cliDoc } from '../../scripts/api-doc.ts';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { openApi } from '../../scripts/openapi.ts';
import { settingsDoc } from '../../scripts/settings-doc.ts';

const ROOT = join(import.meta.dirname, '../..');

/** As biome formats it, except for the widths of columns. */
function unaligned(markdown: string): string {
  return markdown.replaceAll(/ {2,}/g, ' ').replaceAll(/-{3,}/g, '---');
}

test('the page on settings is generated from their schema', () => {
  const written = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8');
  assert.equal(unaligned(written), unaligned(settingsDoc()), 'run "make docs"');
});

test("the pages on the operator's API and the command line are generated from the code", async () => {
  for (const [page, made] of [
    ['docs/api.md', await apiDoc()],
    ['docs/cli.md', cliDoc()],
  ] as const) {
    const written = readFileSync(join(ROOT, page), 'utf8');
    assert.equal(
      unaligned(written),
      unaligned(made).replaceAll('*optional*', '_optional_'),
      `${page}: run "make docs"`,
    );
  }
});

test("the document of the operator's API is generated from its routes", async () => {
  const written = readFileSync(join(ROOT, 'httpserver/v1/openapi.json'), 'utf8');
  assert.deepEqual(JSON.parse(written), await openApi(), 'run "make docs"');
});

test("the API client's types are generated from its document", () => {
  const digest = createHash('sha256').update(readFileSync(join(ROOT, 'httpserver/v1/openapi.json')));
  const [line = ''] = readFileSync(join(ROOT, 'packages/api-client/src/api-types.ts'), 'utf8').split('\n');
  assert.ok(line.includes(` ${digest.digest('hex')}.`), 'run "make docs"');
});

/** As GitHub derives them from headings. */
function anchorsOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('the targets of all links in the documents exist, headings too', () => {
  const pages = globSync('{*.md,{docs,packaging,*-*,packages/*}/*.md}', { cwd: ROOT });
  assert.ok(pages.includes('README.md'));
  for (const page of pages) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path ? join(ROOT, dirname(page), path) : join(ROOT, page);
      assert.ok(existsSync(target), `${page}: ${link}`);
      if (anchor) assert.ok(anchorsOf(readFileSync(target, 'utf8')).includes(anchor), `${page}: ${link}`);
    }
  }
});

test('the README fits on a few screens', () => {
  const lines = readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length - 1;
  assert.ok(lines <= 150, `${lines} lines; move what is not the overview into docs/`);
});

test('make runs the service with the same Node flags as the executable', () => {
  const flags = NODE_FLAGS.join(' ');
  assert.ok(readFileSync(join(ROOT, 'Makefile'), 'utf8').includes(` ${flags} src/ecs-host-service.ts`));
  assert.ok(readFileSync(join(ROOT, 'ecs-host-service'), 'utf8').includes(` ${flags} "$here/src`));
});

test('the table of accepted requests in the page on security is generated from the code', () => {
  const written = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
  assert.equal(unaligned(written), unaligned(withAccepted(written)), 'run "make docs"');
});
