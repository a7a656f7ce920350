import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ChangeReceiver, type Delivery } from '../src/echostream-node.ts';
import { TestNode } from './support/test-node.ts';
import { eventually, World } from './support/world.ts';

test('a node that has not been started has no connection, and the error of using it says what to do', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  assert.equal(node.name, 'my node');
  assert.throws(() => node.config, { code: 'NOT_STARTED', message: /start\(\)/ });
  await assert.rejects(node.auditMessage({} as never), { code: 'NOT_STARTED' });
  await setTimeout(20);
  assert.equal(world.cognito.signIns, 0);
});

test('a started node knows its app, edges, message types and configuration', async () => {
  await using world = await World.start();
  world.queue('in');
  world.node = {
    ...world.node,
    config: '{"b":3}',
    tenant: { ...world.node.tenant, config: '{"a":1,"b":1}' },
    app: { ...world.node.app, config: '{"b":2,"c":2}' },
  };
  await using node = new TestNode(world.options);
  await node.start();
  assert.deepEqual(
    [
      node.app,
      node.appType,
      node.nodeType,
      node.tenant,
      node.sources,
      node.targets,
      node.stopped,
      node.audit,
    ],
    ['app', 'ExternalApp', 'ExternalNode', 'tenant', ['before'], ['after'], false, true],
  );
  assert.deepEqual(node.receiveMessageType, { name: 'text', auditor: 'def auditor(): pass' });
  assert.deepEqual(node.sendMessageType, { name: 'text' });
  assert.deepEqual(node.config, { a: 1, b: 3, c: 2 });
  assert.throws(() => node.table, { code: 'NO_TABLE' });
  await assert.rejects(node.start(), { code: 'ALREADY_STARTED' });
});

test('a received message is handled, its results are sent, it is audited, and then it is deleted', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  await incoming.send([
    {
      body: 'one',
      attributes: { trackingId: 't1', prevTrackingIds: '["t0"]' },
      group: 'g',
      deduplicationId: 'd1',
    },
  ]);
  await using node = new TestNode(world.options, async ({ message, source }, self) => {
    const made = self.createMessage(`${message.body} more`, {
      groupId: 'h',
      previousTrackingIds: [message.trackingId],
    });
    await self.sendMessage(made);
    await self.auditMessage(message, { source, extraAttributes: { size: 3 } });
  });
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  await node.stop();
  const [sent] = outgoing.messages;
  assert.deepEqual([sent?.body, sent?.group, sent?.attributes.prevTrackingIds], ['one more', 'h', '["t1"]']);
  assert.equal(sent?.deduplicationId, sent?.attributes.trackingId);
  const [audit] = world.audits;
  assert.equal(audit?.path, '/audit/my%20node');
  assert.match(
    String(audit?.headers.authorization),
    /Credential=key-1\/\d{8}\/us-east-1\/lambda\/aws4_request/,
  );
  assert.equal(audit?.messageType, 'text');
  const [record] = audit?.auditRecords ?? [];
  assert.deepEqual(
    { ...record, datetime: '' },
    {
      datetime: '',
      previousTrackingIds: ['t0'],
      sourceNode: 'before',
      trackingId: 't1',
      attributes: { size: 3 },
    },
  );
});

test('a node that is stopped in EchoStream neither receives nor sends', async () => {
  await using world = await World.start();
  world.queue('in').put('g', 'one');
  world.node = { ...world.node, stopped: true };
  await using node = new TestNode(world.options);
  await node.start();
  assert.equal(node.stopped, true);
  await assert.rejects(node.sendMessage(node.createMessage('x')), { code: 'NODE_STOPPED' });
  await assert.rejects(node.auditMessage(node.createMessage('x')), { code: 'NODE_STOPPED' });
  await node.stop();
  assert.equal(world.queue('in').messages[0]?.receiveCount, 0);
});

test('a node that EchoStream does not know gets an error that says so', async () => {
  await using world = await World.start();
  await using node = new TestNode({ ...world.options, name: 'unknown' });
  await assert.rejects(node.start(), { code: 'NODE_NOT_FOUND', message: /Check name and tenant/ });
});

test('a handler that takes too long fails, and its message is delivered again', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  incoming.put('g', 'one');
  const reasons: string[] = [];
  await using node = new TestNode(
    { ...world.options, messageTimeout: 20 },
    async ({ signal, receiveCount }) => {
      if (receiveCount > 1) return;
      await setTimeout(60_000, undefined, { signal }).catch(() => reasons.push(signal.reason.code));
    },
  );
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  assert.deepEqual(reasons, ['MESSAGE_TIMEOUT']);
});

test('a message that keeps failing goes to its callback, and messages that waited behind it do not', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  incoming.put('g', 'bad');
  incoming.put('g', 'good');
  const poison: unknown[] = [];
  class PoisonNode extends TestNode {
    override async handlePoisonMessage({ message, receiveCount }: Delivery, error: unknown): Promise<void> {
      poison.push(message.body, receiveCount, (error as Error).message);
    }
  }
  await using node = new PoisonNode({ ...world.options, maxReceives: 3, backoff: 0 }, ({ message }) => {
    if (message.body === 'bad') throw new Error('always');
  });
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  assert.deepEqual(poison, ['bad', 3, 'always']);
  assert.deepEqual(node.handled, ['good']);
});

test('a backoff function that throws or returns no number is ignored', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  incoming.put('g', 'one');
  const backoff = ({ receiveCount }: Delivery): number => {
    if (receiveCount === 1) throw new Error('the backoff fails');
    return Number.NaN;
  };
  await using node = new TestNode({ ...world.options, backoff }, ({ receiveCount }) => {
    if (receiveCount < 3) throw new Error('not yet');
  });
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  assert.deepEqual(node.handled, ['one']);
});

test('a periodic function never overlaps itself, survives a failure, and ends with the node', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  await node.start();
  let [running, most, calls] = [0, 0, 0];
  node.every(1, async () => {
    running += 1;
    most = Math.max(most, running);
    calls += 1;
    await setTimeout(3);
    running -= 1;
    if (calls === 2) throw new Error('once');
  });
  await eventually(() => calls >= 4);
  await node.stop();
  const atStop = calls;
  await setTimeout(10);
  assert.deepEqual([most, running, calls], [1, 0, atStop]);
});

test('an interval or a time limit that no timer can keep is refused', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  for (const interval of [0, 1.5, Number.NaN, 2_147_483_648]) {
    assert.throws(() => node.every(interval, () => {}), {
      code: 'OPTIONS_INVALID',
      message: /^every\(\) cannot do this: interval must/,
    });
  }
  await node.start();
  for (const timeout of [-1, Number.POSITIVE_INFINITY]) {
    await assert.rejects(node.stop({ timeout }), { code: 'OPTIONS_INVALID', message: /timeout must/ });
  }
  await node.stop();
});

test('a node that follows a change receiver is refreshed when the receiver announces a change of its edges or configuration', async () => {
  await using world = await World.start();
  const changes = world.queue('changes');
  world.queue('in');
  const node = new TestNode(world.options);
  await node.start();
  const plain = world.node;
  const { receiveEdges: _, sendEdges: __, ...receiver } = plain;
  const edge = { queue: world.queueUrl('changes'), source: { name: 'App Change Router' } };
  world.node = { ...receiver, __typename: 'AppChangeReceiverNode', receiveEdge: edge };
  const seen: string[] = [];
  class Receiver extends ChangeReceiver {
    override async handleChange({ new: now }: { new?: { type: string } | null }): Promise<void> {
      seen.push(now?.type ?? '');
    }
  }
  const { name: ___, ...unnamed } = world.options;
  const changeReceiver = new Receiver({ ...unnamed, app: 'app' });
  await changeReceiver.start();
  assert.equal(changeReceiver.name, 'app:Change Receiver');
  changeReceiver.follow(node);
  world.node = { ...plain, config: '{"colour":"red"}' };
  const configs: unknown[] = [];
  node.on('config', (config, before) => configs.push(config, before));
  const change = (type: string, name: string): void =>
    changes.put(
      'g',
      JSON.stringify({
        datetime: '2026-01-01T00:00:00Z',
        system: false,
        new: { type, name },
        old: { type, name },
      }),
    );
  change('ExternalNode', 'my node');
  change('ExternalNode', 'another node');
  change('Tenant', 'tenant');
  const gone = { type: 'ExternalNode', name: 'my node' };
  changes.put('g', JSON.stringify({ datetime: '2026-01-01T00:00:00Z', system: false, old: gone }));
  for (const target of ['my node', 'another node']) {
    const edge = { type: 'Edge', source: 'before', target };
    changes.put('g', JSON.stringify({ datetime: '2026-01-01T00:00:00Z', system: false, new: edge }));
  }
  await eventually(() => changes.messages.length === 0);
  await Promise.all([changeReceiver.stop(), node.stop()]);
  assert.deepEqual(configs, [{ colour: 'red' }, {}]);
  assert.deepEqual(node.config, { colour: 'red' });
  assert.deepEqual(seen, ['ExternalNode', 'ExternalNode', 'Tenant', '', 'Edge', 'Edge']);
  // Two starts, and three changes that concern the node.
  assert.equal(world.queries.filter((query) => query === 'getNode').length, 5);
});

test('a message that announces no valid change causes an error that does not show the message', async () => {
  const { parseChange } = await import('../src/change-receiver.ts');
  for (const body of ['secret', '{}', '[]', 'null', '{"datetime":"x","new":{"secret":1}}']) {
    assert.throws(
      () => parseChange(body),
      (error: Error & { code?: string }) =>
        error.code === 'CHANGE_INVALID' && !`${error.stack}`.includes('"secret"'),
    );
  }
});
