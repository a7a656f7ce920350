/** What a node sends, to which targets, and how it reports the result. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestNode } from './support/test-node.ts';
import { World } from './support/world.ts';

test('a message goes to all targets, or only to those that the caller names', async () => {
  await using world = await World.start();
  const queues = ['out', 'archive'].map((name) => world.queue(name));
  const [first] = world.node.sendEdges ?? [];
  assert.ok(first);
  const archive = { queue: world.queueUrl('archive'), target: { name: 'archive' } };
  world.node = { ...world.node, sendEdges: [first, archive] };
  await using node = new TestNode(world.options);
  await node.start();
  assert.deepEqual(node.targets, ['after', 'archive']);
  const results = await node.sendMessage(node.createMessage('to all'));
  assert.deepEqual(
    results.map(({ target }) => target),
    ['after', 'archive'],
  );
  await node.sendMessage(node.createMessage('to one'), { targets: ['archive'] });
  assert.deepEqual(
    queues.map(({ messages }) => messages.map(({ body }) => body)),
    [['to all'], ['to all', 'to one']],
  );
});

test('a message without a group gets the group of its node, with underscores for spaces', async () => {
  await using world = await World.start();
  const outgoing = world.queue('out');
  await using node = new TestNode(world.options);
  await node.start();
  const results = await node.sendMessages(['a', 'b'].map((body) => node.createMessage(body)));
  assert.deepEqual(
    outgoing.messages.map(({ group, body }) => [group, body]),
    [
      ['my_node', 'a'],
      ['my_node', 'b'],
    ],
  );
  assert.deepEqual(
    results.map(({ target, message }) => [target, message.body]),
    [
      ['after', 'a'],
      ['after', 'b'],
    ],
  );
});

test('the error for an unknown target lists the existing targets', async () => {
  await using world = await World.start();
  world.queue('out');
  await using node = new TestNode(world.options);
  await node.start();
  const message = node.createMessage('x');
  await assert.rejects(node.sendMessage(message, { targets: ['afer'] }), {
    code: 'UNKNOWN_TARGET',
    message: /after/,
  });
  await node.sendMessage(message, { targets: ['after'] });
});

test('the error of a failed send reports the result of each message', async () => {
  await using world = await World.start();
  world.queue('out').largest = 1024;
  await using node = new TestNode(world.options);
  await node.start();
  const messages = [node.createMessage('small'), node.createMessage('x'.repeat(2000))];
  await assert.rejects(
    node.sendMessages(messages),
    (error: { code?: string; results?: { error?: unknown }[] }) => {
      assert.equal(error.code, 'MESSAGE_TOO_LARGE');
      assert.deepEqual(
        error.results?.map((one) => one.error === undefined),
        [true, false],
      );
      return true;
    },
  );
});
