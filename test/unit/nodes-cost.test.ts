/** The cost of a look at many nodes that need nothing. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf } from '../../managed-nodes/docker/labels.ts';
import { Looking } from '../../managed-nodes/docker/look.ts';
import { decide } from '../../managed-nodes/plan/decide.ts';
import { nodesOf } from '../../managed-nodes/plan/plan.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { digestOf } from '../support/conduct.ts';
import { ModelDocker, wantedOf } from '../support/nodes-model.ts';

const OWNER = { hostId: 'h', app: 'demo' };
const NODES = 200;
/** Milliseconds of processor time. */
const MOST = 30;

test('a check of 200 nodes that need nothing takes one call to Docker and 30 ms of CPU time', async () => {
  const specs = Array.from(
    { length: NODES },
    (_, i): NodeSpec => ({
      name: `node-${i}`,
      image: 'app:1',
      ports: [{ containerPort: 80, hostPort: 10_000 + i }],
    }),
  );
  const wanted = wantedOf(specs);
  const model = new ModelDocker(wanted, new Map([['app:1', 'healthy']]));
  const listed = specs.map(({ name }) => {
    const labelled = {
      node: name,
      hash: wanted.get(name)?.hash ?? '',
      digest: digestOf('app:1', 'healthy'),
      ports: [],
      labelId: name,
    };
    const Labels = labelsOf(OWNER, labelled);
    return {
      Id: name,
      Names: [`/${name}`],
      Labels,
      ImageID: 'image',
      State: 'running',
      Status: 'Up 1 hour',
      Ports: [],
    };
  });
  let calls = 0;
  const docker = {
    call: async () => {
      calls += 1;
      return listed;
    },
    labelsOfImage: async () => ({}),
  };
  const looking = new Looking(docker as never, OWNER);
  const look = async () => {
    const world = { ...model.world, actual: await looking.look() };
    const begun = process.cpuUsage();
    const actual = await looking.look();
    for (const node of nodesOf(world)) assert.equal(decide({ ...world, actual }, node)?.state, 'running');
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1000;
  };
  // The first looks also compile the code.
  const spent = [await look(), await look(), await look(), await look(), await look()].toSorted(
    (a, b) => a - b,
  );
  assert.ok((spent[2] ?? MOST) < MOST, `${spent.join(', ')} ms`);
  assert.equal(calls, 10);
});
