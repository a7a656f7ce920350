/** The hand-over of a node from one real container to the next. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const { host, registry } = await hostForNodes();

const FILE = '/taken-over';
const BOTH = ['web', 'web.next'];

/** Starts to write the file in the new container. */
async function writeFileIn(name: string): Promise<void> {
  const Cmd = ['/bin/busybox', 'touch', FILE];
  const program = await host.docker.getContainer(name).exec({ Cmd });
  await program.start({ Detach: true });
}

test('a node is handed over once its new container has written its file, even by the next service', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('handed', RUNS);
  const web = (round: string, deadline: number): NodeSpec => ({
    name: 'web',
    image,
    environment: { ROUND: round },
    update: { order: 'hand-over', handOverFile: FILE, healthyAfter: 0.2, deadline },
  });
  site.write([web('1', 3600)]);
  let service = await site.start();
  await site.until('web', 'running');
  const first = await site.inspect('web');
  site.write([web('2', 3600)]);
  await site.until('web', 'checking', /until the new one writes \/taken-over/);
  assert.deepEqual(await site.names(), BOTH);
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  service = await site.start();
  await site.until('web', 'checking', /until the new one writes \/taken-over/);
  for (const name of BOTH) assert.equal((await site.inspect(name)).State.Running, true, name);
  const { Id: second } = await site.inspect('web.next');
  await writeFileIn('web.next');
  await site.until('web', 'running', /^as wanted$/);
  const { Id, State } = await site.inspect('web');
  assert.deepEqual([Id, State.Running], [second, true]);
  assert.notEqual(Id, first.Id);
  site.write([web('3', 1)]);
  while ((await site.view('web')).container === second) await site.until('web', 'running');
  await site.until('web', 'running', /^as wanted$/);
  const { receipts } = (await site.operator.get('/v1/nodes/web/receipts')).body;
  assert.deepEqual(
    receipts.map(({ cause }: { readonly cause: string }) => cause),
    [`the new container did not write ${FILE} in time`, 'the new container was accepted'],
  );
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});
