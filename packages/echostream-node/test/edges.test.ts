/** Edges that change, and nodes that are stopped and started in EchoStream, while the program runs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LambdaEvent, LambdaNode } from '../src/echostream-node.ts';
import { TestNode } from './support/test-node.ts';
import { eventually, World } from './support/world.ts';

test('a node receives and sends over new edges, and no more over removed ones, without a restart', async () => {
  await using world = await World.start();
  const [incoming, second, archive] = ['in', 'second', 'archive'].map((name) => world.queue(name));
  assert.ok(incoming && second && archive);
  const node = new TestNode(world.options);
  await node.start();
  incoming.put('g', 'one');
  await eventually(() => incoming.messages.length === 0);
  world.node = {
    ...world.node,
    receiveEdges: [{ queue: world.queueUrl('second'), source: { name: 'another' } }],
    sendEdges: [{ queue: world.queueUrl('archive'), target: { name: 'archive' } }],
  };
  await node.refresh();
  assert.deepEqual([node.sources, node.targets], [['another'], ['archive']]);
  incoming.put('g', 'left');
  second.put('g', 'two');
  await eventually(() => second.messages.length === 0);
  await node.sendMessage(node.createMessage('x'));
  await node.stop();
  assert.deepEqual(node.handled, ['one', 'two']);
  assert.deepEqual(
    [incoming, archive].map(({ messages }) => messages.map(({ body }) => body)),
    [['left'], ['x']],
  );
});

test('an edge that gets another queue is received from there', async () => {
  await using world = await World.start();
  const [incoming, moved] = [world.queue('in'), world.queue('moved')];
  const node = new TestNode(world.options);
  await node.start();
  world.node = {
    ...world.node,
    receiveEdges: [{ queue: world.queueUrl('moved'), source: { name: 'before' } }],
  };
  await node.refresh();
  incoming.put('g', 'left');
  moved.put('g', 'one');
  await eventually(() => moved.messages.length === 0);
  await node.stop();
  assert.deepEqual([node.handled, incoming.messages.length], [['one'], 1]);
});

test('a handler of a removed edge finishes, and a stop waits for it', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  incoming.put('g', 'one');
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const node = new TestNode(world.options, async () => {
    begun.resolve();
    await goOn.promise;
  });
  await node.start();
  await begun.promise;
  world.node = { ...world.node, receiveEdges: [] };
  await node.refresh();
  const stopped = node.stop();
  goOn.resolve();
  await stopped;
  assert.deepEqual([node.handled, incoming.messages], [['one'], []]);
});

test('a node that is stopped in EchoStream while it runs stops to receive, and starts again there', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  const node = new TestNode(world.options);
  await node.start();
  world.node = { ...world.node, stopped: true };
  await node.refresh();
  await assert.rejects(node.sendMessage(node.createMessage('x')), { code: 'NODE_STOPPED' });
  const calls = (): number => incoming.calls.filter((call) => call === 'receive').length;
  incoming.put('g', 'one');
  await eventually(() => incoming.messages.every(({ visibleAt }) => visibleAt <= performance.now()));
  assert.deepEqual(node.handled, []);
  const before = calls();
  world.node = { ...world.node, stopped: false };
  await node.refresh();
  await eventually(() => incoming.messages.length === 0);
  assert.ok(calls() > before);
  await node.stop();
  assert.deepEqual(node.handled, ['one']);
});

test('a Lambda node learns of an edge that is newer than its connection from the first event', async () => {
  await using world = await World.start();
  const sources: string[] = [];
  class Learning extends LambdaNode {
    override async handleReceivedMessage({ source }: { readonly source: string }): Promise<void> {
      sources.push(source);
    }
  }
  await using node = new Learning(world.options);
  const eventOf = (queue: string): LambdaEvent => ({
    Records: [
      {
        messageId: '1',
        receiptHandle: 'r',
        body: 'x',
        attributes: { MessageGroupId: 'g' },
        messageAttributes: {},
        eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queue}.fifo`,
      },
    ],
  });
  await node.handleEvent(eventOf('in'));
  const edges = world.node.receiveEdges ?? [];
  const added = { queue: world.queueUrl('second'), source: { name: 'another' } };
  world.node = { ...world.node, receiveEdges: [...edges, added] };
  await node.handleEvent(eventOf('second'));
  assert.deepEqual(sources, ['before', 'another']);
});
