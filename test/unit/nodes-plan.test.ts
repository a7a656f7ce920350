/** The plans for nodes, from any present state to the wanted one. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { wantedFrom } from '../../managed-nodes/feeds/wanted-from.ts';
import { decide } from '../../managed-nodes/plan/decide.ts';
import type { Stranger } from '../../managed-nodes/plan/node-container.ts';
import { plan } from '../../managed-nodes/plan/plan.ts';
import { Wanted } from '../../managed-nodes/plan/wanted.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { wantedNode } from '../../managed-nodes/spec/spec-hash.ts';
import { readSpecKey } from '../../managed-nodes/spec/spec-key.ts';
import type { Conduct } from '../support/conduct.ts';
import { hashOf, ModelDocker, wantedOf } from '../support/nodes-model.ts';

const WEB: NodeSpec = { name: 'web', image: 'app:1' };
const WITH_PORT: NodeSpec = { ...WEB, ports: [{ containerPort: 80, hostPort: 8080 }] };

function modelOf(
  specs: readonly NodeSpec[],
  conduct: Conduct = 'healthy',
  strangers: readonly Stranger[] = [],
) {
  return new ModelDocker(wantedOf(specs), new Map(specs.map(({ image }) => [image, conduct])), strangers);
}

function stepsOf({ steps }: ModelDocker): string {
  return steps.map((step) => step.do).join(' ');
}

test('a new node is pulled, created, started, checked, and then named', () => {
  const docker = modelOf([WEB]);
  assert.equal(
    plan(docker.world)
      .map((step) => step.do)
      .join(' '),
    'pull create start wait keep promote',
  );
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep promote');
  assert.equal(decide(docker.world, 'web')?.state, 'running');
});

test('a node that is replaced anyway is not restarted as well', () => {
  const docker = modelOf([{ ...WEB, environment: { A: 'b' } }]);
  docker.put(WEB, 'healthy');
  docker.memory = new Map([['web', { isToRestart: true }]]);
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep stop remove promote');
});

test('one node of a type is replaced first, and the others follow once its container is accepted', () => {
  const named = (name: string, image: string): NodeSpec => ({ name, image, type: 'http' });
  const docker = modelOf(['c', 'a', 'b'].map((name) => named(name, 'app:2')));
  for (const name of ['a', 'b', 'c']) docker.put(named(name, 'app:1'), 'healthy');
  docker.settle();
  const order = docker.steps.map(({ node }) => node).filter((node, i, all) => node !== all[i - 1]);
  assert.equal(order[0], 'a');
  assert.ok(!order.slice(1).includes('a'), order.join());
  for (const node of ['a', 'b', 'c']) assert.equal(decide(docker.world, node)?.state, 'running');
});

test('if the first node of a type rejects an image, the others do not get it', () => {
  const named = (name: string, image: string): NodeSpec => ({ name, image, type: 'http' });
  const docker = modelOf([named('a', 'app:2'), named('b', 'app:2'), { ...WEB, image: 'app:2' }], 'exits');
  const old = ['a', 'b'].map((name) => docker.put(named(name, 'app:1'), 'healthy').id);
  docker.settle();
  assert.equal(decide(docker.world, 'a')?.state, 'reverted');
  const { state, cause } = decide(docker.world, 'b') ?? {};
  assert.deepEqual([state, cause], ['blocked', 'the node a of its type was rejected with this image']);
  assert.deepEqual(
    old.map((id) => docker.containers.get(id)?.state),
    ['running', 'running'],
  );
  docker.wanted = wantedOf([named('a', 'app:3'), named('b', 'app:3')]);
  docker.registry.set('app:3', 'healthy');
  docker.settle();
  assert.equal(decide(docker.world, 'b')?.state, 'running');
});

test('a container that is as wanted is left alone, even before any registry was asked', () => {
  const docker = modelOf([WEB]);
  docker.put(WEB, 'runs');
  docker.settle();
  assert.deepEqual(docker.steps, []);
});

test('a node without a fixed host port keeps running until its new container is accepted', () => {
  const docker = modelOf([{ ...WEB, environment: { A: 'b' } }]);
  docker.put(WEB, 'healthy');
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep stop remove promote');
});

test('a node with a fixed host port stops after its new container is created and before it starts', () => {
  const docker = modelOf([{ ...WITH_PORT, environment: { A: 'b' } }]);
  docker.put(WITH_PORT, 'healthy');
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create stop start keep remove promote');
});

test('a container is replaced when its tag moves', () => {
  const docker = modelOf([WEB], 'runs');
  docker.put(WEB, 'healthy');
  docker.digests = new Map([['app:1', 'sha256:app:1-runs']]);
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep stop remove promote');
});

for (const [conduct, why] of [
  ['exits', 'it exited with code 3'],
  ['unhealthy', 'its health check failed'],
] as const) {
  test(`the old container is restored when ${why}, and the new one is not retried`, () => {
    const docker = modelOf([{ ...WITH_PORT, image: 'app:2' }], conduct);
    const old = docker.put(WITH_PORT, 'healthy');
    docker.settle();
    const end = conduct === 'exits' ? 'reject remove' : 'reject stop remove';
    assert.equal(stepsOf(docker), `pull create stop start ${end} start`);
    const decision = decide(docker.world, 'web');
    assert.deepEqual(
      [decision?.state, decision?.cause],
      ['reverted', `the new container was rejected: ${why}`],
    );
    assert.equal(docker.containers.get(old.id)?.state, 'running');
    assert.equal(docker.memory.get('web')?.rejected?.why, why);
    docker.now += 86_400_000;
    docker.settle();
    assert.equal(docker.steps.at(-1)?.do, 'start', 'nothing more is done');
    docker.wanted = wantedOf([{ ...WITH_PORT, image: 'app:3' }]);
    docker.registry.set('app:3', 'healthy');
    docker.settle();
    assert.equal(decide(docker.world, 'web')?.state, 'running');
  });
}

test('a rejected container without a predecessor is retried after five minutes', () => {
  const docker = modelOf([WEB], 'exits');
  docker.settle();
  const { state, until = 0 } = decide(docker.world, 'web') ?? {};
  assert.equal(state, 'failed');
  docker.now = until;
  docker.registry.set('app:1', 'healthy');
  const before = docker.steps.length;
  docker.settle();
  assert.equal(
    docker.steps
      .slice(before)
      .map((step) => step.do)
      .join(' '),
    'create start reject remove',
  );
});

test('a new container that Docker itself ended is started again and not rejected', () => {
  const docker = modelOf([{ ...WEB, image: 'app:2' }], 'runs');
  docker.put(WEB, 'healthy');
  while (docker.steps.at(-1)?.do !== 'start') docker.round();
  docker.crashDocker();
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start start keep stop remove promote');
});

test('a new container without a health check is accepted after it has run long enough', () => {
  const docker = modelOf([{ ...WEB, update: { healthyAfter: 30 } }], 'runs');
  while (docker.round());
  const { state, until = 0 } = decide(docker.world, 'web') ?? {};
  assert.equal(state, 'checking');
  assert.ok(until - docker.now > 29_000 && until - docker.now <= 30_000, String(until - docker.now));
});

test("another container with the node's name is left alone, and the error names it", () => {
  const stranger = { id: 'x' as DockerId, name: 'web', ports: [] };
  const docker = modelOf([WEB], 'healthy', [stranger]);
  docker.settle();
  assert.deepEqual(docker.steps, []);
  const { state, cause } = decide(docker.world, 'web') ?? {};
  assert.equal(state, 'blocked');
  assert.match(String(cause), /the name web belongs to a container that this service did not make/);
});

test("if another container or node has the port, the node's error says so, and its old container keeps running", () => {
  const stranger = {
    id: 'x' as DockerId,
    name: 'nginx',
    ports: [{ port: 8080, protocol: 'tcp', address: '' }],
  };
  const docker = modelOf([WITH_PORT], 'healthy', [stranger]);
  docker.put(WEB, 'healthy');
  docker.settle();
  assert.deepEqual(docker.steps, []);
  assert.match(String(decide(docker.world, 'web')?.cause), /8080\/tcp is taken by the container nginx/);
  const both = modelOf([WITH_PORT, { ...WITH_PORT, name: 'api' }]);
  both.put(WITH_PORT, 'healthy');
  both.settle();
  assert.deepEqual(both.steps, [], 'whichever has the port keeps it');
  assert.match(String(decide(both.world, 'api')?.cause), /8080\/tcp is wanted by the node web too/);
});

test('nodes can exchange their fixed ports', () => {
  const on = (name: string, hostPort: number): NodeSpec => ({
    name,
    image: 'app:1',
    ports: [{ containerPort: 80, hostPort }],
  });
  const docker = modelOf([on('a', 2000), on('b', 3000), on('c', 1000)]);
  for (const [name, port] of [
    ['a', 1000],
    ['b', 2000],
    ['c', 3000],
  ] as const)
    docker.put(on(name, port), 'healthy');
  docker.settle();
  for (const node of ['a', 'b', 'c']) assert.equal(decide(docker.world, node)?.state, 'running');
});

test('the container of a stopped node is stopped and kept, and that of a node that is no longer wanted is removed', () => {
  const docker = modelOf([{ ...WEB, stopped: true }]);
  docker.put(WEB, 'healthy');
  docker.put({ ...WEB, name: 'gone' }, 'healthy');
  docker.settle();
  assert.deepEqual(
    docker.steps.map((step) => `${step.do} ${step.node}`),
    ['stop gone', 'stop web', 'remove gone'],
  );
  docker.wanted = wantedOf([WEB]);
  docker.settle();
  assert.equal(docker.steps.at(-1)?.do, 'start');
});

test('a lock defers updates, but neither first starts nor restarts', () => {
  const docker = modelOf([
    { ...WEB, image: 'app:2' },
    { ...WEB, name: 'new' },
  ]);
  docker.isLocked = true;
  docker.put(WEB, 'healthy', { state: 'exited' });
  docker.settle();
  assert.deepEqual(
    docker.steps.filter(({ node }) => node === 'web').map((step) => step.do),
    ['start'],
  );
  assert.equal(decide(docker.world, 'new')?.state, 'running');
  assert.equal(decide(docker.world, 'web')?.cause, 'updates are deferred by a lock');
});

test('the update window defers updates, but no first start', () => {
  const docker = modelOf([
    { ...WEB, environment: { A: 'b' } },
    { ...WEB, name: 'new' },
  ]);
  docker.put(WEB, 'healthy', { state: 'exited' });
  docker.opensAt = docker.now + 3_600_000;
  docker.settle();
  assert.equal(decide(docker.world, 'new')?.state, 'running');
  const { state, cause, until } = decide(docker.world, 'web') ?? {};
  assert.deepEqual([state, until], ['running', docker.opensAt]);
  assert.match(String(cause), /until their window opens at 1970-01-01T/);
  docker.opensAt = undefined;
  docker.settle();
  assert.equal(
    [...docker.containers.values()].find(({ node }) => node === 'web')?.hash,
    docker.wanted.get('web')?.hash,
  );
});

test('the old container keeps running while the registry does not answer', () => {
  const docker = modelOf([{ ...WEB, image: 'app:2' }]);
  docker.put(WEB, 'healthy', { state: 'exited' });
  const failed = { step: 'pull' as const, why: 'no answer', times: 1, next: docker.now + 60_000 };
  docker.memory = new Map([['web', { failed }]]);
  assert.equal(decide(docker.world, 'web')?.step?.do, 'start');
  docker.carryOut(decide(docker.world, 'web')?.step as never);
  const { state, cause, until } = decide(docker.world, 'web') ?? {};
  assert.deepEqual([state, cause, until], ['backoff', 'no answer', failed.next]);
});

test('the hash of a spec depends neither on its order nor on how the node is run', () => {
  const one = hashOf({ ...WEB, environment: { A: '1', B: '2' }, stopped: true, update: { deadline: 5 } });
  assert.equal(one, hashOf({ environment: { B: '2', A: '1' }, image: 'app:1', name: 'web' }));
  assert.notEqual(one, hashOf({ ...WEB, environment: { A: '1', B: '3' } }));
});

test('a node whose spec has become invalid keeps its last spec and says why', () => {
  const docker = modelOf([WEB]);
  docker.put(WEB, 'healthy');
  docker.unusable = new Map([['web', 'its spec cannot be used: no port']]);
  docker.settle();
  const { state, cause } = decide(docker.world, 'web') ?? {};
  assert.deepEqual([state, cause], ['blocked', 'its spec cannot be used: no port']);
  docker.crashDocker();
  docker.settle();
  assert.equal([...docker.containers.values()][0]?.state, 'running');
});

test("if a service has never seen a valid spec of a node, it leaves the node's container alone", () => {
  const docker = modelOf([{ ...WITH_PORT, name: 'other' }]);
  for (const state of ['running', 'exited']) {
    docker.put({ ...WITH_PORT, name: state }, 'healthy', { state });
    docker.unusable = new Map(docker.unusable).set(state, 'its spec cannot be used');
  }
  docker.settle();
  assert.deepEqual(docker.steps, [
    { do: 'pull', node: 'other', image: 'app:1' },
    { do: 'create', node: 'other', hash: docker.wanted.get('other')?.hash, digest: 'sha256:app:1-healthy' },
  ]);
  assert.match(
    String(decide(docker.world, 'other')?.cause),
    /8080\/tcp is still held by a container of the node running/,
  );
});

test('an invalid node in a feed keeps its earlier spec, and other nodes change', () => {
  const nodeOf = (spec: NodeSpec) => ({ spec, hash: spec.image, plainHash: '' });
  const before = wantedFrom({ app: 'a', nodes: [WEB, { ...WEB, name: 'api' }] }, new Wanted(), nodeOf);
  const unusable = [
    { name: 'web', why: 'bad' },
    { name: 'new', why: 'bad' },
    { name: 'no name', why: 'bad' },
  ];
  const after = wantedFrom(
    { app: 'a', nodes: [{ ...WEB, name: 'api', image: 'app:2' }], unusable },
    before,
    nodeOf,
  );
  assert.deepEqual(
    [after.get('web')?.hash, after.get('api')?.hash, after.get('new')],
    ['app:1', 'app:2', undefined],
  );
  assert.deepEqual([...after.unusable.keys()], ['web', 'new']);
});

test('the work of a plan grows only in proportion to the number of nodes', () => {
  const readsFor = (count: number) => {
    let reads = 0;
    const specs = Array.from({ length: count }, (_, i): NodeSpec => {
      const spec = {
        name: `node-${i}`,
        image: 'app:2',
        type: 'http',
        ports: [{ containerPort: 80, hostPort: 1000 + i }],
      };
      const get = (target: NodeSpec, member: keyof NodeSpec) => {
        reads += 1;
        return target[member];
      };
      return new Proxy(spec, { get } as ProxyHandler<NodeSpec>);
    });
    const docker = modelOf(specs);
    for (const spec of specs) docker.put({ ...spec, image: 'app:1' }, 'healthy');
    const { world } = docker;
    reads = 0;
    const steps = plan(world);
    assert.equal(steps.length, 1 + 7 * count, 'they share a pull');
    return reads;
  };
  const [few, many] = [readsFor(20), readsFor(200)];
  assert.ok(many < 11 * few, `${few} reads for 20 nodes, ${many} for 200`);
});

test("the hash of a spec cannot be computed without the host's key", () => {
  const [one, other] = ['a', 'b'].map((key) => wantedNode(WEB, Buffer.alloc(32, key)));
  assert.notEqual(one?.hash, other?.hash);
  assert.equal(one?.plainHash, other?.plainHash);
  assert.notEqual(one?.hash, one?.plainHash);
});

test('a container labelled with an unkeyed hash is adopted, and its rejection remains', () => {
  const docker = modelOf([WEB]);
  docker.put(WEB, 'healthy', { hash: docker.wanted.get('web')?.plainHash ?? '' });
  docker.settle();
  assert.deepEqual(docker.steps, []);
  const bad = { ...WEB, image: 'app:2' };
  docker.wanted = wantedOf([bad]);
  docker.digests = new Map([['app:2', 'sha256:2']]);
  const key = `${docker.wanted.get('web')?.plainHash}@sha256:2`;
  docker.memory = new Map([['web', { rejected: { key, why: 'it exited', lastLines: [], at: 0 } }]]);
  assert.equal(decide(docker.world, 'web')?.state, 'reverted');
});

test("the host's key is made once, and only root can read it", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'key-'));
  const path = join(directory.path, 'spec-key');
  const key = await readSpecKey(path);
  assert.equal(key.length, 32);
  assert.deepEqual(await readSpecKey(path), key);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await writeFile(path, 'no key');
  await assert.rejects(readSpecKey(path), /spec-key.*it is not a key; remove it/);
});
