/** The promises of the planner of nodes, from any state to any other, whatever crashes in between. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { decide } from '../../managed-nodes/plan/decide.ts';
import {
  candidateName,
  copyName,
  isActive,
  type Rank,
  type Stranger,
} from '../../managed-nodes/plan/node-container.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { type Conduct, digestOf } from '../support/conduct.ts';
import { hashOf, ModelDocker, wantedOf } from '../support/nodes-model.ts';
import fc from '../support/properties.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const IMAGES = ['one:1', 'two:1'];
const CONDUCTS: readonly Conduct[] = ['refuses', 'runs', 'exits', 'healthy', 'unhealthy'];
const NAME_OF = { current: (node: string) => node, candidate: candidateName, copy: copyName };
const STATES = ['created', 'running', 'exited', 'paused', 'dead'];

const EVENTS = [
  'crash',
  'forgetful crash',
  'torn crash',
  'docker',
  'tasks left',
  'both',
  'edit',
  'move',
  'lock',
  'unusable',
] as const;

const anyPort = fc.record({
  containerPort: fc.constantFrom(80, 81),
  hostPort: fc.constantFrom(1000, 1001, 1002, undefined),
  hostAddress: fc.constantFrom(undefined, '127.0.0.1', '10.0.0.1'),
});

function anySpec(name: string): fc.Arbitrary<NodeSpec> {
  return fc
    .record({
      image: fc.constantFrom(...IMAGES),
      ports: fc.uniqueArray(anyPort, { maxLength: 2, selector: ({ containerPort }) => containerPort }),
      stopped: fc.boolean(),
      order: fc.constantFrom('auto' as const, 'stop-first' as const, 'hand-over' as const),
      note: fc.constantFrom('x', 'y'),
      type: fc.constantFrom('t', undefined),
    })
    .map(({ image, ports, stopped, order, note, type }) => ({
      name,
      ...(type && { type }),
      image,
      ports: ports.map(({ hostPort, hostAddress, containerPort }) => ({
        containerPort,
        ...(hostPort && { hostPort }),
        ...(hostAddress && { hostAddress }),
      })),
      stopped: stopped && note === 'x',
      environment: { note },
      // A feed refuses a hand-over together with a fixed port.
      update: {
        order: order === 'hand-over' && ports.some(({ hostPort }) => hostPort) ? 'auto' : order,
        deadline: 20,
      },
    }));
}

const anyWanted = fc
  .subarray(NAMES)
  .chain((names) => fc.tuple(...names.map(anySpec)))
  .map((specs) => [...specs]);

/**
 * A container of a node: made from any spec, in any state. Two running containers have no port in common, because
 * Docker prevents that.
 */
const anyContainer = fc.constantFrom(...NAMES).chain((name) =>
  fc.record({
    spec: anySpec(name),
    conduct: fc.constantFrom(...CONDUCTS),
    state: fc.constantFrom(...STATES),
    rank: fc.constantFrom<Rank>('current', 'candidate', 'copy'),
  }),
);

const anyStranger = fc.record({
  name: fc.constantFrom('a', 'b.next', 'c.copy', 'other'),
  port: fc.constantFrom(1000, 1001, undefined),
});

const anyCase = fc.record({
  wanted: fc.array(anyWanted, { minLength: 1, maxLength: 3 }),
  registry: fc.tuple(fc.constantFrom(...CONDUCTS), fc.constantFrom(...CONDUCTS)),
  containers: fc.uniqueArray(anyContainer, {
    maxLength: 6,
    selector: ({ spec, rank }) => `${spec.name} ${rank}`,
  }),
  strangers: fc.uniqueArray(anyStranger, { maxLength: 2, selector: ({ name }) => name }),
  /** Which event follows which step. */
  events: fc.array(fc.tuple(fc.nat(25), fc.constantFrom(...EVENTS)), {
    maxLength: 6,
  }),
});

type Case = typeof anyCase extends fc.Arbitrary<infer T> ? T : never;

function modelOf({ wanted: [first = []], registry: [one, two], containers, strangers }: Case): ModelDocker {
  const known: Stranger[] = strangers.map(({ name, port }, i) => ({
    id: `stranger-${i}` as DockerId,
    name,
    ports: port ? [{ port, protocol: 'tcp', address: '' }] : [],
  }));
  const docker = new ModelDocker(
    wantedOf(first),
    new Map([
      ['one:1', one],
      ['two:1', two],
    ]),
    known,
  );
  for (const { spec, conduct, state, rank } of containers) {
    const name = NAME_OF[rank](spec.name);
    if (known.some((stranger) => stranger.name === name)) continue;
    const taken = (spec.ports ?? []).some(({ hostPort }) =>
      docker.portsInUse().some(({ port }) => port === hostPort),
    );
    docker.put(spec, conduct, { rank, state: taken && isActive({ state }) ? 'exited' : state, started: 0 });
  }
  return docker;
}

/** Checks all promises about a node that is at rest. */
function checkNode(docker: ModelDocker, node: string): void {
  const spec = docker.wanted.get(node)?.spec;
  const own = [...docker.containers.values()].filter((one) => one.node === node);
  const state = decide(docker.world, node)?.state;
  if (!spec) {
    assert.deepEqual(own, [], `${node} is not wanted`);
    return;
  }
  if (spec.stopped) {
    assert.ok(!own.some(isActive), `${node} is to be stopped`);
    return;
  }
  const conduct = docker.registry.get(spec.image) as Conduct;
  const current = own.find(({ rank }) => rank === 'current');
  if (state === 'blocked') {
    const others = [...docker.strangers, ...[...docker.wanted.keys()].filter((name) => name !== node)];
    assert.ok(others.length > 0, `nothing is there that could block ${node}`);
    return;
  }
  if (state === 'paused') return;
  if (state === 'backoff') {
    assert.ok(current?.digest.endsWith('-refuses'), `${node} has a container that Docker refuses`);
    return;
  }
  assert.ok(own.length <= 1, `${node} has one container: ${JSON.stringify(own)}`);
  if (state === 'running' || state === 'unhealthy' || state === 'restarting') {
    assert.equal(current?.hash, hashOf(spec), `${node} is of the wanted spec`);
    return;
  }
  assert.ok(
    ['refuses', 'exits', 'unhealthy'].includes(conduct),
    `${node} is ${state}, though its image is good`,
  );
  assert.ok(state === 'reverted' || state === 'failed', `${node} is ${state}`);
  assert.equal(docker.memory.get(node)?.rejected?.key, `${hashOf(spec)}@${digestOf(spec.image, conduct)}`);
}

function happen(docker: ModelDocker, what: (typeof EVENTS)[number], edits: (readonly NodeSpec[])[]): void {
  switch (what) {
    case 'crash':
    case 'forgetful crash':
      docker.crash(what !== 'crash');
      break;
    case 'docker':
    case 'tasks left':
      docker.crashDocker(what === 'tasks left');
      break;
    case 'both':
      docker.crashDocker();
      docker.crash(false);
      break;
    case 'edit':
      docker.wanted = wantedOf(edits.shift() ?? [...docker.wanted.values()].map(({ spec }) => spec));
      break;
    case 'lock':
      docker.isLocked = !docker.isLocked;
      break;
    case 'unusable':
      docker.unusable = new Map([['a', 'its spec cannot be used']]);
      break;
    case 'move':
      docker.registry.set('one:1', 'healthy');
  }
}

test('from any state of Docker, and despite crashes and changes, nodes settle in their wanted state', () => {
  const property = fc.property(anyCase, (given) => {
    const docker = modelOf(given);
    const strangers = structuredClone(docker.strangers);
    const edits = given.wanted.slice(1);
    const pending = [...given.events];
    docker.tornAt = new Set(pending.filter(([, what]) => what === 'torn crash').map(([step]) => step));
    docker.settle(() => {
      const at = docker.steps.length;
      for (const [, what] of pending.filter(([step]) => step === at)) happen(docker, what, edits);
    });
    docker.isLocked = false;
    docker.unusable = new Map();
    docker.lookForTags();
    docker.settle();
    for (const node of NAMES) checkNode(docker, node);
    assert.deepEqual(docker.strangers, strangers);
    const before = docker.steps.length;
    docker.settle();
    assert.equal(docker.steps.length, before, 'a second look finds nothing to do');
  });
  fc.assert(property, { numRuns: 2000 });
});

test('if all images are good and no other container interferes, every node runs from its own spec, or names the holder of its port', () => {
  const property = fc.property(anyCase, (given) => {
    // Only the person who has paused a container knows why.
    const containers = given.containers.filter(
      ({ state, conduct }) => state !== 'paused' && conduct !== 'refuses',
    );
    const docker = modelOf({ ...given, strangers: [], containers, registry: ['healthy', 'runs'] });
    docker.settle();
    for (const [node, { spec, hash }] of docker.wanted) {
      const { state, cause } = decide(docker.world, node) ?? {};
      const own = [...docker.containers.values()].filter((one) => one.node === node);
      if (spec.stopped) assert.equal(state, 'stopped');
      else if (state === 'blocked') assert.match(String(cause), /^host port .* is (wanted by|still held)/);
      else assert.deepEqual([own.length, own[0]?.hash, own[0]?.rank], [1, hash, 'current'], state);
    }
  });
  fc.assert(property, { numRuns: 1000 });
});
