/** Checks that the documents agree with the command line. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDocument } from 'yaml';
import { parse } from '../src/cli/program.ts';
import { COMMON, ROWS } from '../src/cli/rows.ts';
import { EXIT_CODES } from '../src/errors.ts';

const PACKAGE = join(import.meta.dirname, '..');
const DOCUMENTS = ['README.md', ...globSync('docs/*.md', { cwd: PACKAGE })].map((name) => ({
  name,
  // Replaces the values that a CI provides.
  text: readFileSync(join(PACKAGE, name), 'utf8').replaceAll(/\$\{\{.*?\}\}/g, 'value'),
}));

/** The commands in code blocks, without the shell's own syntax. */
function commandsIn(text: string): readonly string[] {
  const blocks = [...text.matchAll(/```(?:console|sh|yaml)\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const lines = blocks.flatMap((block) => block.split('\n'));
  return lines.flatMap((line) =>
    [
      ...line.matchAll(
        /(?:^\$ |^| |- |run: )(?:npx )?ecs-release(?:@[\d.]+)? ((?:"[^"]*"|'[^']*'|[^|&#<"'])+)/g,
      ),
    ].map(([, words = '']) => words.trim()),
  );
}

test('every command in the documents is one that the parser accepts', () => {
  const all = DOCUMENTS.flatMap(({ name, text }) => commandsIn(text).map((command) => ({ name, command })));
  assert.ok(all.length > 30, String(all.length));
  for (const { name, command } of all) {
    const words = [...command.matchAll(/"([^"]*)"|'([^']*)'|([^\s"']+)/g)].map(
      ([, double, single, plain]) => double ?? single ?? plain ?? '',
    );
    const parsed = parse(words);
    assert.equal(parsed.is, 'command', `${name}: ${command}`);
  }
});

test('every option in the documents exists, and the README names every command', () => {
  const flags = [...COMMON, ...ROWS.flatMap(({ options = [] }) => options)].flatMap((one) =>
    one.flags.split(/[ ,]+/),
  );
  const foreign = ['--plan', '--today', '--rm', '--env', '--secret', '--forever'];
  const known = new Set([...flags, ...foreign, '--', '--help']);
  // The entry point is another program with its own options.
  for (const { name, text } of DOCUMENTS.filter((one) => one.name !== 'docs/entrypoint.md')) {
    const plain = text.replaceAll(/```[\s\S]*?```/g, '');
    for (const [flag] of plain.matchAll(/(?<=[` ])--[a-z][\w-]*/g))
      assert.ok(known.has(flag), `${name}: ${flag}`);
  }
  const [readme] = DOCUMENTS;
  for (const { name } of ROWS) assert.match(readme?.text ?? '', new RegExp(`\`${name}\\b`), name);
});

test('the README lists the exit codes that the tool has', () => {
  const [, table = ''] = /## Exit codes\n([\s\S]*?)\n## /.exec(DOCUMENTS[0]?.text ?? '') ?? [];
  const listed = [...table.matchAll(/^\| (\d+) /gm)].map(([, code]) => Number(code));
  // 130 is that of an interrupted command in any shell.
  const known = new Set([0, ...Object.values(EXIT_CODES), 130]);
  assert.deepEqual(
    listed,
    [...known].sort((a, b) => a - b),
  );
  const meanings = {
    ...{ 'rolled back': /was rolled back/, 'not rolled back': /was not rolled back/ },
    ...{ locked: /has the lock/, superseded: /superseded/, 'nothing to do': /nothing to do/ },
    ...{ usage: /wrong usage/, failed: /before it changed anything/ },
  };
  for (const [kind, meaning] of Object.entries(meanings)) {
    const code = EXIT_CODES[kind as keyof typeof EXIT_CODES];
    assert.match(table.split('\n').find((line) => line.startsWith(`| ${code} `)) ?? '', meaning, kind);
  }
});

test('the pipelines in the documents are valid YAML, ask for OIDC, and name no key', () => {
  const { text = '' } = DOCUMENTS.find(({ name }) => name === 'docs/pipelines.md') ?? {};
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => parseDocument(block));
  assert.equal(blocks.length, 3);
  for (const { errors } of blocks) assert.deepEqual(errors, []);
  const [github, bitbucket] = blocks.map((block) => JSON.stringify(block));
  assert.match(github ?? '', /"id-token":"write".*"role-to-assume"/);
  assert.match(bitbucket ?? '', /"oidc":true.*AWS_ROLE_ARN=.*AWS_WEB_IDENTITY_TOKEN_FILE=/);
  assert.doesNotMatch(text, /ACCESS_KEY|aws_secret|access-key-id/i);
});
