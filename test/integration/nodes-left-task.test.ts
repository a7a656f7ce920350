/** After a crash, Docker may be unable to start the last good container of a node again. A copy of it takes its place. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Dockerode from 'dockerode';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const { host, registry } = await hostForNodes();

/** What a container was made from, apart from what Docker gives each one. */
function madeFrom({ Config, HostConfig, Mounts }: Dockerode.ContainerInspectInfo) {
  const labels = { ...Config.Labels, 'ecs-host-service.node.id': '' };
  const mounts = Mounts.toSorted((a, b) => a.Destination.localeCompare(b.Destination));
  return { Config: { ...Config, Labels: labels }, HostConfig: { ...HostConfig, Mounts: [] }, mounts };
}

test('if Docker can never start the old container again, a copy of it runs, also if the service is killed at any step', async () => {
  await using engine = await FaultyEngine.open();
  const site = new NodeSite(host);
  const good: NodeSpec = {
    name: 'web',
    image: registry.addScript('good', RUNS),
    environment: { SECRET: 'only the old container has it' },
    ports: [{ containerPort: 80, hostPort: 18_083 }],
    mounts: [
      { target: '/data' },
      { source: '/run/test', target: '/test' },
      { source: 'kept', target: '/kept' },
    ],
    limits: { memory: '64MiB', pids: 50 },
    update: { healthyAfter: 0.2 },
  };
  const bad: NodeSpec = { ...good, image: registry.addScript('bad', 'exit 3'), environment: {} };
  site.write([good]);
  let service = await site.start(engine.settings);
  await site.until('web', 'running');
  site.write([bad]);
  await site.until('web', 'reverted');
  for (const step of ['copy', 'remove', 'promote', undefined]) {
    const before = await site.inspect('web');
    assert.equal(await service.stop(), 0);
    await host.docker.getContainer('web').stop({ t: 1 });
    // Docker's words, when a crash has left the container's task in containerd.
    engine.refusal = (call) =>
      call.includes(`/${before.Id}/start`) ? `task ${before.Id}: already exists` : undefined;
    service = await site.start(engine.settings);
    if (step !== undefined) {
      await service.line(
        ({ msg, step: found }) => msg === 'a step of a node' && (found as { do: string }).do === step,
      );
      assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
      service = await site.start(engine.settings);
    }
    await site.until('web', 'reverted');
    const now = await site.inspect('web');
    assert.notEqual(now.Id, before.Id, step);
    assert.equal(now.State.Running, true, step);
    assert.deepEqual(madeFrom(now), madeFrom(before), step);
    assert.deepEqual(await site.names(), ['web'], step);
  }
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});
