/**
 * The packages, as npm would publish them: each installs into an empty project without a registry, on each Node version that it
 * supports, and runs there.
 */

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { IDENTITY } from '../../packages/echostream-node/src/options.ts';
import { eventually, World } from '../../packages/echostream-node/test/support/world.ts';

const ROOT = join(import.meta.dirname, '../..');
const NODES = ['22', '24', '26'] as const;

type Line = (typeof NODES)[number];

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>;
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const packages = globSync('packages/*/package.json', { cwd: ROOT })
  .map((path): Manifest => JSON.parse(readFileSync(join(ROOT, path), 'utf8')))
  .filter((manifest) => !manifest.private);

let work = '';
before(() => {
  work = mkdtempSync(join(tmpdir(), 'packages-'));
});
after(() => rmSync(work, { recursive: true }));

/** With that Node first in the path; npm runs on it too. */
function environment(line: Line): NodeJS.ProcessEnv {
  const directory = line === '24' ? 'node' : `node-${line}`;
  const bin = join(ROOT, `tools/${directory}/node_modules/node-linux-${process.arch}/bin`);
  return { ...process.env, PATH: `${bin}:${process.env.PATH}`, npm_config_cache: join(work, 'cache') };
}

/** A package's dependencies, including indirect ones, as in this checkout. */
function dependenciesOf({ dependencies = {} }: Manifest, { packages: locked }: Lock): string[] {
  const found = new Set<string>();
  const add = (names: Readonly<Record<string, string>> = {}): void => {
    for (const name of Object.keys(names)) {
      if (found.has(name)) continue;
      found.add(name);
      add(locked[`node_modules/${name}`]?.dependencies);
    }
  };
  add(dependencies);
  return [...found];
}

/** Installs a package with its dependencies beside it, because there is no registry. @returns the project */
function install(manifest: Manifest, line: Line): string {
  const project = join(work, `${manifest.name}-${line}`);
  const tarballs = join(work, `${manifest.name}-tarballs`);
  const npm = (...words: string[]) =>
    execFileSync(
      'npm',
      [...words, '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: project,
        env: environment(line),
      },
    );
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }');
  if (line === NODES[0]) {
    mkdirSync(tarballs);
    const lock: Lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    const directories = dependenciesOf(manifest, lock).map((name) => join(ROOT, 'node_modules', name));
    if (directories.length > 0) npm('pack', ...directories, '--pack-destination', tarballs);
    const own = `${manifest.name}-${manifest.version}.tgz`;
    cpSync(join(ROOT, 'build/packages', own), join(tarballs, own));
  }
  npm('install', ...readdirSync(tarballs).map((file) => join(tarballs, file)));
  return project;
}

async function run(line: Line, project: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('node', words, { cwd: project, env: environment(line) });
  return stdout;
}

for (const manifest of packages) {
  const { name } = manifest;
  test(`${name} installs into an empty project, and loads there on each Node version`, async () => {
    const found: string[] = [];
    for (const line of NODES) {
      const project = install(manifest, line);
      assert.match(await run(line, project, '--version'), new RegExp(`^v${line}\\.`));
      const script = `console.log(Object.keys(await import('${name}')).join())`;
      found.push(await run(line, project, '--input-type=module', '--eval', script));
    }
    assert.match(found[0] ?? '', /\w/);
    assert.equal(new Set(found).size, 1, found.join(''));
  });
}

test('the release tool runs as a command of its package on each Node version', async () => {
  for (const line of NODES) {
    const project = join(work, `ecs-release-${line}`);
    assert.match(await run(line, project, 'node_modules/.bin/ecs-release', '--help'), /^ {2}deploy /m);
  }
});

/** Checks types in a project, as a user's compiler does. */
function typeCheck(project: string, ...files: readonly string[]): Promise<string> {
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  return run('24', project, join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, ...files);
}

test("the node library's examples match the published types, and a node runs on each Node version", async () => {
  const directory = join(ROOT, 'packages/echostream-node/example');
  const examples = readdirSync(directory);
  for (const line of NODES) {
    const project = join(work, `echostream-node-${line}`);
    cpSync(directory, project, { recursive: true });
    await using world = await World.start();
    const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
    incoming.put('g', 'hello');
    const identity = Object.entries(IDENTITY).map(([option, name]) => [
      name,
      world.options[option as 'name'],
    ]);
    const env = { ...environment(line), ...Object.fromEntries(identity), ...world.environment };
    const node = spawn('node', ['managed-node.ts'], { cwd: project, env, stdio: 'inherit' });
    await eventually(() => incoming.messages.length === 0);
    node.kill('SIGTERM');
    assert.deepEqual(await once(node, 'exit'), [0, null]);
    assert.deepEqual(
      outgoing.messages.map(({ body }) => body),
      ['HELLO'],
    );
  }
  await typeCheck(join(work, 'echostream-node-24'), ...examples);
});

test("the API client's example matches the published types, and runs on each Node version", async (t) => {
  const socket = join(work, 'api.sock');
  const container = { id: 'abc', state: 'ready', app: 'demo', port: 32262 };
  const server = createServer(({ url = '' }, response) => {
    const isStream = url.startsWith('/v1/events');
    response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
    if (!isStream) return response.end(JSON.stringify({ containers: [container] }));
    return response.write(
      `event: container\nid: a-1\ndata: ${JSON.stringify({ container, cause: 'why' })}\n\n`,
    );
  }).listen(socket);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  for (const line of NODES) {
    const project = join(work, `ecs-host-service-api-client-${line}`);
    cpSync(join(ROOT, 'packages/api-client/example/list.ts'), join(project, 'list.ts'));
    assert.equal(await run(line, project, 'list.ts', socket), 'abc demo 32262\nabc ready why\n');
  }
  const project = join(work, 'ecs-host-service-api-client-24');
  await typeCheck(project, 'list.ts');
  const wrong = `import { connect } from 'ecs-host-service-api-client';
await (await connect({ socket: '' })).GET('/v1/containers', { params: { query: { state: 'lost' } } });
`;
  writeFileSync(join(project, 'wrong.ts'), wrong);
  await assert.rejects(typeCheck(project, 'wrong.ts'), ({ stdout }: { stdout: string }) =>
    /"lost"' is not assignable/.test(stdout),
  );
});
