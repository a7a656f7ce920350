/** The house keeps its shape: imports go down or stay on their floor, and never in a circle. */

import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

const FLOORS: Readonly<Record<string, number>> = {
  src: 5,
  httpserver: 4,
  'ecs-agent-bridge': 4,
  container: 3,
  'docker-engine': 2,
  host: 2,
  ttys: 2,
  'user-configs': 2,
  lifetime: 1,
  logging: 1,
  settings: 1,
  errors: 1,
  outgoing: 1,
  parsing: 1,
  'uinput-native': 1,
};

/** Rooms that stand beside the house: nothing in the house may import them. */
const OUTSIDE = [
  'packages',
  'launcher',
  'test',
  'bench',
  'scripts',
  'packaging',
  'docs',
  'tools',
  'build',
  'node_modules',
];

const files = globSync(`{${Object.keys(FLOORS).join(',')}}/**/*.ts`, { cwd: ROOT });
const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** The files of this repository that `file` imports, statically or not. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const found = source.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found]
    .map(([, path]) => join(dirname(file), path as string))
    .filter((path) => path.endsWith('.ts'));
}

function roomOf(file: string): string {
  return file.split('/', 1)[0] as string;
}

test('every folder is a room of the house or stands beside it', () => {
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter((one) => one.isDirectory());
  const unknown = folders
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('.') && !(name in FLOORS));
  assert.deepEqual(
    unknown.filter((name) => !OUTSIDE.includes(name)),
    [],
  );
});

test('an import goes down or stays on its floor', () => {
  const wrong = [...imports].flatMap(([file, targets]) =>
    targets
      .filter(
        (target) => (FLOORS[roomOf(target)] ?? Number.POSITIVE_INFINITY) > (FLOORS[roomOf(file)] as number),
      )
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('no imports go in a circle', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`);
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  assert.equal(done.size, files.length);
});

test('a file is imported for what it has: there are no barrels', () => {
  assert.deepEqual(
    files.filter((file) => /(^|\/)index\.ts$/.test(file)),
    [],
  );
});

test('files stay small enough to be read at once', () => {
  const written = files.filter((file) => !file.endsWith('.d.ts'));
  const long = written.filter((file) => readFileSync(join(ROOT, file), 'utf8').split('\n').length > 301);
  assert.deepEqual(long, []);
});
