/**
 * The structure of the code: imports go down or stay on their floor, and form no cycle. The packages beside it are
 * published separately, so they never import from the house.
 */

import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

const FLOORS: Readonly<Record<string, number>> = {
  src: 5,
  httpserver: 4,
  'ecs-agent-bridge': 4,
  container: 3,
  'managed-nodes': 3,
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

/** Packages that the house may import, each through its entry point. */
const USED = ['api-client', 'echostream-node'];

/** Rooms beside the house: nothing in the house may import them, except for those packages. */
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
const all = globSync('packages/*/package.json', { cwd: ROOT }).map((manifest) => dirname(manifest));
/** A private package is not published. It is built into the service instead. */
const packages = all.filter((directory) => !manifestOf(directory).private);
const used = packages.filter((directory) => USED.includes(basename(directory)));
const packageFiles = globSync('packages/*/{src,test,scripts}/**/*.{ts,tsx}', { cwd: ROOT });
const imports = new Map([...files, ...packageFiles].map((file) => [file, importsOf(file)]));

/** The imports of `file`, static or not, as they are written there. */
function specifiersIn(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return [...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)'([^'\s]+)'/g)].map(
    ([, name]) => name as string,
  );
}

/** The files of this repository that `file` imports. */
function importsOf(file: string): string[] {
  return specifiersIn(file)
    .filter((name) => /^\..*\.ts$/.test(name))
    .map((name) => join(dirname(file), name));
}

function manifestOf(directory: string) {
  return JSON.parse(readFileSync(join(ROOT, directory, 'package.json'), 'utf8'));
}

/** The source of a package's export. */
function entryOf(directory: string): string {
  const built: string = manifestOf(directory).exports['.'].default;
  return join(directory, built.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'));
}

function roomOf(file: string): string {
  return file.split('/', 1)[0] as string;
}

test('every folder has a floor in the house or is listed beside it', () => {
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter((one) => one.isDirectory());
  const unknown = folders
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('.') && !(name in FLOORS));
  assert.deepEqual(
    unknown.filter((name) => !OUTSIDE.includes(name)),
    [],
  );
});

test('imports go down or stay on their floor', () => {
  const isAllowed = (file: string, target: string) =>
    roomOf(target) === 'packages'
      ? used.some((directory) => target === entryOf(directory))
      : (FLOORS[roomOf(target)] ?? Number.POSITIVE_INFINITY) <= (FLOORS[roomOf(file)] as number);
  const wrong = files.flatMap((file) =>
    (imports.get(file) ?? [])
      .filter((target) => !isAllowed(file, target))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
  const unused = all.filter((directory) => !used.includes(directory));
  const names = unused.map((directory) => manifestOf(directory).name);
  const byName = files.filter((file) => specifiersIn(file).some((name) => names.includes(name)));
  assert.deepEqual(byName, [], 'packages that the house does not use');
});

test('imports form no cycles', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`);
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  assert.equal(done.size, imports.size);
});

test('a package imports only its own files, its dependencies, and Node', () => {
  for (const directory of all) {
    const { dependencies = {}, devDependencies = {} } = manifestOf(directory);
    const own = packageFiles.filter((file) => file.startsWith(`${directory}/`));
    for (const file of own) {
      const isPublished = file.startsWith(`${directory}/src/`);
      const known = Object.keys({ ...dependencies, ...(!isPublished && devDependencies) });
      for (const name of specifiersIn(file)) {
        const isOwn = name.startsWith('.') && join(dirname(file), name).startsWith(`${directory}/`);
        const isKnown = name.startsWith('node:') || known.some((one) => `${name}/`.startsWith(`${one}/`));
        assert.ok(isOwn || isKnown, `${file} imports ${name}`);
      }
    }
  }
});

test('a package contains everything that is published, and runs nothing when it is installed', () => {
  const lifecycle =
    /^(pre|post)?(install|prepare|pack|publish|version|uninstall)$|^(prepublishOnly|dependencies)$/;
  for (const directory of packages) {
    const { type, license, exports, files: published, engines, scripts = {} } = manifestOf(directory);
    const facts = { type, license, published, hasTypes: exports['.'].types.endsWith('.d.ts') };
    const expected = {
      type: 'module',
      license: 'Apache-2.0',
      published: ['dist', 'CHANGELOG.md'],
      hasTypes: true,
    };
    assert.deepEqual(facts, expected, directory);
    assert.match(engines.node, /^>=22\.\d+$/, directory);
    assert.deepEqual(
      Object.keys(scripts).filter((name) => lifecycle.test(name)),
      [],
      directory,
    );
    for (const page of ['README.md', 'CHANGELOG.md', entryOf(directory)])
      assert.ok(existsSync(join(ROOT, page.startsWith(directory) ? page : join(directory, page))), page);
    const licence = readFileSync(join(ROOT, directory, 'LICENSE'), 'utf8');
    assert.equal(licence, readFileSync(join(ROOT, 'LICENSE'), 'utf8'), directory);
  }
});

test('no file is a barrel', () => {
  assert.deepEqual(
    files.filter((file) => /(^|\/)index\.ts$/.test(file)),
    [],
  );
});

test('files stay small enough to read at once', () => {
  const generated = 'packages/api-client/src/api-types.ts';
  const written = [...files, ...packageFiles].filter((file) => file !== generated);
  const long = written.filter((file) => readFileSync(join(ROOT, file), 'utf8').split('\n').length > 301);
  assert.deepEqual(long, []);
});

test('a start loads no package that only some hosts need', () => {
  const statically = (file: string): string[] => {
    const source = readFileSync(join(ROOT, file), 'utf8').replace(/^import type [^;]*;/gm, '');
    return [...source.matchAll(/(?:\bfrom|^import)\s+'([^']+)'/gm)].map(([, name]) => name as string);
  };
  const loaded = new Set<string>(['src/main.ts']);
  for (const file of loaded) {
    const names = statically(file);
    for (const name of names.filter((one) => /^\..*\.ts$/.test(one))) loaded.add(join(dirname(file), name));
    const early = names.filter((name) =>
      /^(@aws-sdk|@smithy|@sentry)\/|^(dockerode|undici|asn1js)$/.test(name),
    );
    assert.deepEqual(early, [], `${file} is loaded at each start`);
  }
  assert.ok(loaded.size > 100);
});

test('packages that are loaded on demand are imported in the form that a bundle provides', () => {
  // For a CommonJS module, a bundle provides only the default export. scripts/es-modules.ts uses the ES modules of
  // these packages instead.
  const withNames = /^(@aws-sdk\/|ws$)/;
  for (const file of files) {
    const source = readFileSync(join(ROOT, file), 'utf8');
    const named = /\{ (?!default\b)[^}]*\} = await import\('([^.'][^']*)'\)/g;
    for (const [, name = ''] of source.matchAll(named))
      assert.match(name, withNames, `${file} imports ${name}`);
  }
});
