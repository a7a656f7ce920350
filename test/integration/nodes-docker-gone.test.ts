/** Docker does not answer for some time while a host has nodes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const { host, registry } = await hostForNodes();

test('while Docker does not answer, nodes run on, and an edit takes effect once Docker answers again', async () => {
  await using engine = await FaultyEngine.open();
  const site = new NodeSite(host);
  const image = registry.addScript('away', RUNS);
  const write = (ROUND: string) =>
    site.write([{ name: 'web', image, environment: { ROUND }, update: { healthyAfter: 0.2 } }]);
  write('1');
  const service = await site.start(engine.settings);
  await site.until('web', 'running');
  const { Id, State } = await site.inspect('web');
  const from = engine.calls;
  engine.goAway();
  const seen = service.lines.length;
  write('2');
  await service.line(({ msg }) => msg === 'the feed wants these nodes', seen);
  while (engine.calls < from + 10) await site.view('web');
  assert.ok((await site.operator.get('/v1/nodes')).body.lookError);
  assert.equal((await site.inspect(Id)).State.StartedAt, State.StartedAt);
  engine.fault = undefined;
  // Until the service can see the containers again, the node's state is the one from before.
  await service.line(({ msg, state }) => msg === 'node' && state === 'pending', seen);
  await site.until('web', 'running', /^as wanted$/);
  const now = await site.inspect('web');
  assert.ok(now.Config.Env.includes('ROUND=2'));
  assert.deepEqual(await site.names(), ['web']);
  assert.equal((await site.operator.get('/v1/nodes')).body.lookError, undefined);
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});
