/** The host ports of nodes on a host that also has hosted containers. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';
import { Registry } from '../support/registry.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
let registry: Registry;
before(async () => {
  host = await TestHost.open();
  registry = await Registry.open();
});
after(async () => {
  await registry[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(() => host.finish());

const QUICK = { healthyAfter: 0.2 };

test('a service that cannot read its feed gives no hosted container the port of a node that is down', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('web', RUNS);
  const ports = [{ containerPort: 80, hostPort: 30_080 }];
  site.write([{ name: 'web', image, ports, update: QUICK }]);
  let service = await site.start({ INTERACTIVE: 'on' });
  await site.until('web', 'running');
  assert.equal(await service.stop(), 0);
  await host.docker.getContainer('web').remove({ force: true });
  site.writeText('nodes: [');
  service = await site.start({ INTERACTIVE: 'on' });
  const wish = { image: IMAGE, app: 'x', ports: [{ container: '80/tcp', host: 30_080 }] };
  const { status, body } = await site.operator.ask('POST', '/v1/containers', wish);
  assert.deepEqual([status, body.title], [409, 'port.of_node']);
  site.write([{ name: 'other', image, update: QUICK }]);
  await site.until('other', 'running');
  const made = await site.operator.ask('POST', '/v1/containers', wish);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  site.write([]);
  await site.until('other', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});
