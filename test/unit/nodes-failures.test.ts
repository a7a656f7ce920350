/** The reactions when Docker refuses a planned step for a node. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../managed-nodes/plan/decide.ts';
import { applyFailure, wanting } from '../../managed-nodes/plan/effects.ts';
import { Wanted } from '../../managed-nodes/plan/wanted.ts';
import type { Step, World } from '../../managed-nodes/plan/world.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { whyUnusable } from '../../managed-nodes/spec/unusable.ts';
import type { Conduct } from '../support/conduct.ts';
import { ModelDocker, wantedOf } from '../support/nodes-model.ts';

const WEB: NodeSpec = { name: 'web', image: 'app:1' };

function modelOf(specs: readonly NodeSpec[], conduct: Conduct = 'healthy') {
  return new ModelDocker(wantedOf(specs), new Map(specs.map(({ image }) => [image, conduct])));
}

function stepsOf({ steps }: ModelDocker): string {
  return steps.map((step) => step.do).join(' ');
}

test('a new container that Docker refuses to start is rejected, and no other node of its type gets its image', () => {
  const named = (name: string, image: string, hostPort: number): NodeSpec => ({
    name,
    image,
    type: 'http',
    ports: [{ containerPort: 80, hostPort }],
  });
  const docker = modelOf([named('a', 'app:2', 1), named('b', 'app:2', 2)], 'refuses');
  docker.put(named('a', 'app:1', 1), 'healthy');
  const other = docker.put(named('b', 'app:1', 2), 'healthy').id;
  docker.settle(() => assert.equal(docker.containers.get(other)?.state, 'running'));
  assert.equal(stepsOf(docker), 'pull create stop start start reject remove start');
  assert.equal(decide(docker.world, 'a')?.state, 'reverted');
  assert.match(String(decide(docker.world, 'a')?.cause), /no such program/);
  assert.equal(decide(docker.world, 'b')?.state, 'blocked');
});

test('an old container that Docker refuses to start does not prevent a new one', () => {
  const docker = modelOf([{ ...WEB, image: 'app:2' }]);
  docker.put(WEB, 'refuses', { state: 'exited' });
  docker.memory = new Map([['web', { failed: { step: 'pull', why: 'no answer', times: 1, next: 0 } }]]);
  docker.settle();
  assert.equal(decide(docker.world, 'web')?.state, 'running');
});

test('a container that Docker cannot start after a crash of Docker is recreated, and its spec is not rejected', () => {
  for (const rank of ['current', 'candidate'] as const) {
    const docker = modelOf([WEB]);
    const { id } = docker.put(WEB, 'healthy', { state: 'created', rank });
    const why = `Docker could not start the container: task ${'4'.repeat(64)}: already exists`;
    docker.memory = new Map([['web', { refused: { container: id, why, times: 2 } }]]);
    docker.settle();
    assert.equal(decide(docker.world, 'web')?.state, 'running');
    assert.ok(!docker.containers.has(id));
    assert.equal(docker.memory.get('web')?.rejected, undefined);
  }
});

test('if Docker can no longer start the old container, and the new one is rejected, a copy of the old one runs', () => {
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  const docker = modelOf([{ ...WEB, ports, image: 'app:2' }], 'exits');
  const { id, hash, digest } = docker.put({ ...WEB, ports }, 'healthy');
  while (docker.steps.at(-1)?.do !== 'create') docker.round();
  docker.crashDocker(true);
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start reject remove start start copy remove promote start');
  assert.equal(decide(docker.world, 'web')?.state, 'reverted');
  const [one, ...others] = docker.containers.values();
  assert.deepEqual([one?.hash, one?.digest, one?.rank, one?.state], [hash, digest, 'current', 'running']);
  assert.notEqual(one?.id, id);
  assert.deepEqual(others, []);
});

test('a container that cannot be copied, because its image is gone, does not prevent a new one', () => {
  const docker = modelOf([{ ...WEB, image: 'app:2' }]);
  const { id } = docker.put(WEB, 'healthy', { state: 'exited' });
  const refused = { container: id, why: `task ${'4'.repeat(64)}: already exists`, times: 2 };
  docker.memory = new Map([['web', { refused }]]);
  const { world } = docker;
  const copy = decide(world, 'web')?.step as Step;
  assert.equal(copy.do, 'copy');
  applyFailure(world, copy, { why: 'Docker is busy', status: 500 });
  assert.equal(decide(world, 'web')?.state, 'backoff');
  applyFailure(world, copy, { why: 'no such image', status: 404 });
  assert.deepEqual(decide(world, 'web')?.step, { do: 'remove', node: 'web', container: id });
});

test('a copy is removed if Docker has started the original after all', () => {
  const docker = modelOf([WEB]);
  const original = docker.put(WEB, 'healthy');
  docker.put(WEB, 'healthy', { rank: 'copy', state: 'created' });
  docker.settle();
  assert.equal(stepsOf(docker), 'remove');
  assert.ok(docker.containers.has(original.id));
});

test("an accepted container is kept if another spec is wanted before it has its node's name", () => {
  const docker = modelOf([{ ...WEB, image: 'app:2' }]);
  docker.put(WEB, 'healthy');
  while (docker.steps.at(-1)?.do !== 'remove') docker.round();
  const accepted = [...docker.containers.keys()];
  docker.wanted = wantedOf([{ ...WEB, image: 'app:3' }]);
  docker.registry.set('app:3', 'exits');
  docker.settle();
  assert.equal(decide(docker.world, 'web')?.state, 'reverted');
  assert.deepEqual([...docker.containers.keys()], accepted);
});

test('an image that somebody has removed is pulled again', () => {
  const docker = modelOf([WEB]);
  docker.round();
  const create = decide(docker.world, 'web')?.step as Extract<Step, { do: 'create' }>;
  assert.equal(create.do, 'create');
  const isPulled = ({ pulled }: World) => pulled.has(`app:1 ${create.digest}`);
  const after = (status: number) => {
    const { world } = docker;
    applyFailure(world, create, { why: 'Docker refuses', status });
    return world;
  };
  assert.ok(isPulled(after(409)));
  assert.equal(isPulled(after(404)), false);
  assert.equal(decide(after(404), 'web')?.step?.do, 'pull');
});

test('a node that is stopped or started anyway is not restarted as well', () => {
  const docker = modelOf([WEB]);
  docker.put(WEB, 'healthy', { state: 'exited' });
  docker.memory = new Map([['web', { isToRestart: true }]]);
  docker.settle();
  assert.equal(stepsOf(docker), 'start');
});

test('a node cannot name the same host port twice', () => {
  const ports = [80, 81].map((containerPort) => ({ containerPort, hostPort: 8080 }));
  assert.match(String(whyUnusable({ ...WEB, ports })), /8080\/tcp appears twice/);
  assert.equal(whyUnusable({ ...WEB, ports: [...ports.slice(1), { containerPort: 80 }] }), undefined);
});

test('the digest of an image is forgotten once no node wants the image', () => {
  const docker = modelOf([WEB]);
  docker.settle();
  const { digests, pulled } = wanting(docker.world, new Wanted(wantedOf([{ ...WEB, image: 'app:2' }])));
  assert.deepEqual([digests.size, pulled.size], [0, 0]);
  assert.equal(wanting(docker.world, docker.world.wanted).pulled.size, 1);
});

test('a node whose old container has lost its port to another node is replaced despite a failed start', () => {
  const named = (name: string, hostPort: number): NodeSpec => ({
    name,
    image: 'app:1',
    ports: [{ containerPort: 80, hostPort }],
  });
  const docker = modelOf([named('one', 18_101), named('two', 18_100)]);
  docker.put(named('one', 18_101), 'healthy');
  const { id } = docker.put(named('two', 18_101), 'healthy', { state: 'exited' });
  const failed = {
    step: 'start',
    container: id,
    why: 'port is already allocated',
    times: 1,
    next: 0,
  } as const;
  docker.memory = new Map([['two', { failed }]]);
  docker.settle();
  for (const node of ['one', 'two']) assert.equal(decide(docker.world, node)?.cause, 'as wanted', node);
});
