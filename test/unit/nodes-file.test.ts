/** The valid contents of a file of nodes, and the reaction to an unusable file. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, chown, mkdtempDisposable, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileFeed } from '../../managed-nodes/feeds/file-feed.ts';
import { parseNodesFile } from '../../managed-nodes/feeds/nodes-file.ts';
import { nodesSchema } from '../../scripts/nodes-schema.ts';

function whyNot(text: string): string {
  let why = '';
  assert.throws(
    () => parseNodesFile(text, '/nodes.yaml'),
    (error: Error) => {
      why = error.message;
      return true;
    },
  );
  assert.match(why, /^the nodes in \/nodes.yaml cannot be used: /);
  return why;
}

test('a file of nodes is YAML, with anchors', () => {
  const text = `
app: demo
nodes:
  - &web
    name: web
    image: registry.example.com/web:1.2
    ports: [{ containerPort: 80, hostPort: 8080 }]
    limits: { memory: 512MiB, cpus: 0.5 }
  - { name: worker, image: registry.example.com/worker, stopped: true }
`;
  const { app, nodes } = parseNodesFile(text, '/nodes.yaml');
  assert.deepEqual([app, nodes.map(({ name }) => name)], ['demo', ['web', 'worker']]);
  assert.deepEqual(nodes[0]?.ports, [{ containerPort: 80, hostPort: 8080 }]);
});

test('the error of a file of nodes says what is wrong and where, and quotes nothing of it', () => {
  assert.match(whyNot('app: demo\nnodes:\n  - name: web\n  image: x\n   secret: s3cr3t'), /at line 4/);
  assert.doesNotMatch(whyNot('app: demo\nnodes: [ { name: web, environment: { P: s3cr3t }'), /s3cr3t/);
  const one = (more: string) => `{ app: demo, nodes: [{ name: web, image: x, ${more} }] }`;
  assert.match(whyNot(one('port: 1')), /\/nodes\/0\/port is not a known field/);
  assert.match(whyNot(one('ports: [{ containerPort: 0 }]')), /\/nodes\/0\/ports\/0\/containerPort/);
  assert.match(
    whyNot(one('labels: { ecs-host-service.role: ecs }')),
    /of the node web, labels must not begin/,
  );
  assert.match(whyNot(one('mounts: [{ target: /a }, { target: /a }]')), /one source for \/a/);
  assert.match(
    whyNot(one('ports: [{ containerPort: 80 }, { containerPort: 80 }]')),
    /80\/tcp\/ appears twice/,
  );
  assert.match(whyNot('{ app: host, nodes: [] }'), /a network of Docker's own/);
  assert.match(
    whyNot('{ app: demo, nodes: [{ name: a1, image: x }, { name: a1, image: y }] }'),
    /one node a1/,
  );
  assert.match(whyNot(''), /it must be|object/);
});

test('a file whose aliases would fill the memory is refused', () => {
  const levels = Array.from(
    { length: 30 },
    (_, i) => `l${i}: &l${i} [${i === 0 ? 'x' : `*l${i - 1}, *l${i - 1}`}]`,
  );
  assert.match(whyNot(levels.join('\n')), /alias/i);
});

test('the JSON Schema for editors is the schema that the service itself uses', () => {
  const committed = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../docs/nodes.schema.json'), 'utf8'),
  );
  assert.deepEqual(committed, nodesSchema(), 'run "make docs"');
});

class Followed {
  readonly heard: string[] = [];
  #more = Promise.withResolvers<void>();

  say(what: string): void {
    this.heard.push(what);
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  async next(count: number): Promise<string | undefined> {
    while (this.heard.length < count) await this.#more.promise;
    return this.heard[count - 1];
  }
}

test('a file of nodes is read again when it changes, and refused if others than root can write it', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'nodes-'));
  const path = join(directory.path, 'nodes.yaml');
  const write = async (text: string, mode = 0o644) => {
    await writeFile(`${path}.new`, text);
    await chmod(`${path}.new`, mode);
    await rename(`${path}.new`, path);
  };
  const followed = new Followed();
  const end = new AbortController();
  const following = new FileFeed(path).follow(
    async ({ nodes }) => followed.say(nodes.map(({ name }) => name).join()),
    (error) => followed.say((error as Error).message),
    end.signal,
  );
  assert.match(String(await followed.next(1)), /no such file/);
  await write('{ app: demo, nodes: [{ name: web, image: x }] }');
  assert.equal(await followed.next(2), 'web');
  await write('{ app: demo, nodes: [{ name: web, image: x }, { name: api, image: x }] }', 0o666);
  assert.match(String(await followed.next(3)), /users other than root can write to it/);
  await chmod(path, 0o644);
  assert.equal(await followed.next(4), 'web,api');
  await chown(path, 1000, 1000);
  assert.match(String(await followed.next(5)), /users other than root can write to it/);
  end.abort();
  await following;
});
