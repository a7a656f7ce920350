/** The documents agree with the command line. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from '../src/cli/program.ts';
import { COMMON, ROWS } from '../src/cli/rows.ts';

const PACKAGE = join(import.meta.dirname, '..');
const DOCUMENTS = ['README.md', ...globSync('docs/*.md', { cwd: PACKAGE })].map((name) => ({
  name,
  // Values that a CI puts in.
  text: readFileSync(join(PACKAGE, name), 'utf8').replaceAll(/\$\{\{.*?\}\}/g, 'value'),
}));

/** The commands in code blocks, without what the shell makes of them. */
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
  // The entry point is another program, with options of its own.
  for (const { name, text } of DOCUMENTS.filter((one) => one.name !== 'docs/entrypoint.md')) {
    const plain = text.replaceAll(/```[\s\S]*?```/g, '');
    for (const [flag] of plain.matchAll(/(?<=[` ])--[a-z][\w-]*/g))
      assert.ok(known.has(flag), `${name}: ${flag}`);
  }
  const [readme] = DOCUMENTS;
  for (const { name } of ROWS) assert.match(readme?.text ?? '', new RegExp(`\`${name}\\b`), name);
});
