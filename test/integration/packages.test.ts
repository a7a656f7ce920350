/**
 * The packages, as npm would publish them: each installs into an empty project without a registry, on each Node version that it
 * supports, and runs there.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { IDENTITY } from '../../packages/echostream-node/src/options.ts';
import { eventually, World } from '../../packages/echostream-node/test/support/world.ts';
import { EmptyProjects, NAMES, NODES } from '../support/empty-projects.ts';

const ROOT = join(import.meta.dirname, '../..');

const projects = new EmptyProjects();
after(() => projects[Symbol.dispose]());

// That of the release tool is in package-of-release.test.ts.
for (const name of NAMES.filter((one) => one !== 'ecs-release')) {
  test(`${name} installs into an empty project, and loads there on each Node version`, () =>
    projects.installAndLoad(name));
}

/** Checks types in a project, as a user's compiler does. */
function typeCheck(project: string, ...files: readonly string[]): Promise<string> {
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  return projects.run('24', project, join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, ...files);
}

test("the node library's examples match the published types, and a node runs on each Node version", async () => {
  const directory = join(ROOT, 'packages/echostream-node/example');
  const examples = readdirSync(directory);
  for (const line of NODES) {
    const project = projects.of('echostream-node', line);
    cpSync(directory, project, { recursive: true });
    await using world = await World.start();
    const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
    incoming.put('g', 'hello');
    const identity = Object.entries(IDENTITY).map(([option, name]) => [
      name,
      world.options[option as 'name'],
    ]);
    const env = { ...projects.environment(line), ...Object.fromEntries(identity), ...world.environment };
    const node = spawn('node', ['managed-node.ts'], { cwd: project, env, stdio: 'inherit' });
    await eventually(() => incoming.messages.length === 0);
    node.kill('SIGTERM');
    assert.deepEqual(await once(node, 'exit'), [0, null]);
    assert.deepEqual(
      outgoing.messages.map(({ body }) => body),
      ['HELLO'],
    );
  }
  await typeCheck(projects.of('echostream-node', '24'), ...examples);
});

test("the API client's example matches the published types, and runs on each Node version", async (t) => {
  const socket = join(projects.work, 'api.sock');
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
    const project = projects.of('ecs-host-service-api-client', line);
    cpSync(join(ROOT, 'packages/api-client/example/list.ts'), join(project, 'list.ts'));
    assert.equal(await projects.run(line, project, 'list.ts', socket), 'abc demo 32262\nabc ready why\n');
  }
  const project = projects.of('ecs-host-service-api-client', '24');
  await typeCheck(project, 'list.ts');
  const wrong = `import { connect } from 'ecs-host-service-api-client';
await (await connect({ socket: '' })).GET('/v1/containers', { params: { query: { state: 'lost' } } });
`;
  writeFileSync(join(project, 'wrong.ts'), wrong);
  await assert.rejects(typeCheck(project, 'wrong.ts'), ({ stdout }: { stdout: string }) =>
    /"lost"' is not assignable/.test(stdout),
  );
});
