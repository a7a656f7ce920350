import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Message } from '../src/message.ts';
import { type Outgoing, QueueGone } from '../src/queue.ts';
import { Target } from '../src/sending/target.ts';
import { type Fault, MemoryQueue } from './support/memory-queue.ts';
import { MESSAGE_TYPE, quietLogger } from './support/sources.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function world(faults: Fault['kind'][] = []) {
  const clock = new VirtualClock();
  const queue = new MemoryQueue(clock, (operation) => ({
    kind: (operation === 'send' && faults.shift()) || 'none',
  }));
  const sizes: number[] = [];
  const send = queue.send.bind(queue);
  queue.send = (batch: readonly Outgoing[]) => {
    sizes.push(batch.length);
    return send(batch);
  };
  const target = new Target({
    name: 'after',
    queue,
    defaultGroup: 'me',
    clock,
    logger: quietLogger,
    onRetry: () => {},
  });
  const bodies = (): string[] => queue.messages.map(({ body }) => body);
  return { clock, queue, target, sizes, bodies };
}

const message = (body: string, groupId?: string): Message =>
  new Message({ body, messageType: MESSAGE_TYPE, groupId });
const numbered = (count: number): Message[] => Array.from({ length: count }, (_, i) => message(String(i)));

test('messages that are sent together are combined into batches of ten, and keep their order', async () => {
  const { clock, target, sizes, bodies } = world();
  await clock.run(Promise.all(numbered(25).map((one) => target.send(one))));
  assert.deepEqual(sizes, [10, 10, 5]);
  assert.deepEqual(
    bodies(),
    Array.from({ length: 25 }, (_, i) => String(i)),
  );
});

test('a lone message is sent immediately', async () => {
  const { clock, target } = world();
  await clock.run(target.send(message('one')));
  assert.ok(clock.now() < 5, `${clock.now()} ms`);
});

test('a batch never exceeds the byte limit of SQS, counted in UTF-8', async () => {
  const { clock, target, sizes } = world();
  const large = Array.from({ length: 4 }, () => message('ü'.repeat(50_000)));
  await clock.run(Promise.all([...large, message('x')].map((one) => target.send(one))));
  assert.deepEqual(sizes, [2, 3]);
});

test("a message that is larger than its queue's limit is refused before it is sent", async () => {
  const { clock, queue, target, sizes } = world();
  queue.largest = 1024;
  await assert.rejects(clock.run(target.send(message('ü'.repeat(500)))), { code: 'MESSAGE_TOO_LARGE' });
  await clock.run(target.send(message('x'.repeat(900))));
  assert.deepEqual(sizes, [1]);
});

test('a queue with a limit of 1 MiB accepts a message of 1 MiB', async () => {
  const { clock, queue, target, sizes } = world();
  queue.largest = 1_048_576;
  await clock.run(target.send(message('x'.repeat(1_000_000))));
  assert.deepEqual(sizes, [1]);
});

test("the tracking id is the deduplication id, and the message's group overrides the node's", async () => {
  const { clock, queue, target } = world();
  const [one, two] = [message('one'), message('two', 'group')];
  await clock.run(Promise.all([target.send(one, { traceparent: '00-1-2-01' }), target.send(two)]));
  const sent = queue.messages.map(({ group, deduplicationId, attributes }) => ({
    group,
    deduplicationId,
    attributes,
  }));
  assert.deepEqual(sent, [
    {
      group: 'me',
      deduplicationId: one.trackingId,
      attributes: { trackingId: one.trackingId, traceparent: '00-1-2-01' },
    },
    { group: 'group', deduplicationId: two.trackingId, attributes: { trackingId: two.trackingId } },
  ]);
});

test('a call that failed, or whose answer was lost, is retried, and nothing is sent twice or out of order', async () => {
  const { clock, target, bodies } = world(['before', 'after', 'none', 'after']);
  await clock.run(Promise.all(numbered(25).map((one) => target.send(one))));
  assert.deepEqual(
    bodies(),
    Array.from({ length: 25 }, (_, i) => String(i)),
  );
});

test('a failed entry is sent again before later messages', async () => {
  const { clock, target, bodies } = world(['entry']);
  await clock.run(Promise.all(numbered(12).map((one) => target.send(one))));
  assert.deepEqual(bodies().slice(9), ['0', '10', '11']);
});

test('a message that SQS refuses permanently fails alone', async () => {
  const { clock, queue, target } = world();
  const send = queue.send.bind(queue);
  queue.send = async (batch) => {
    const results = await send(batch);
    return results.map((one, i) => (batch[i]?.body === '1' ? { ok: false, reason: 'no', final: true } : one));
  };
  const results = await clock.run(Promise.allSettled(numbered(3).map((one) => target.send(one))));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.match(String((results[1] as PromiseRejectedResult).reason), /could not be sent to after: no/);
});

test('a message fails after eight attempts', async () => {
  const { clock, queue, target } = world(Array.from({ length: 100 }, () => 'before'));
  await assert.rejects(clock.run(target.send(message('x'))), { code: 'SEND_FAILED' });
  assert.equal(queue.calls.filter((call) => call === 'send').length, 8);
});

test('a message to a deleted queue fails immediately', async () => {
  const { clock, queue, target } = world();
  queue.send = async () => {
    throw new QueueGone('the queue is gone');
  };
  await assert.rejects(clock.run(target.send(message('x'))), {
    code: 'SEND_FAILED',
    message: /the queue is gone/,
  });
  assert.ok(clock.now() < 100);
});

test('a sender that is faster than the queue waits', async () => {
  const { clock, queue, target } = world();
  const sent = numbered(1500).map((one) => target.send(one));
  const last = sent.at(-1) as Promise<unknown>;
  const early = clock.sleep(20).then(() => 'early');
  assert.equal(await clock.run(Promise.race([last.then(() => 'sent'), early])), 'early');
  await clock.run(Promise.all(sent));
  assert.equal(queue.messages.length, 1500);
});

test('many large messages keep their order, however many wait', async () => {
  const { clock, target, bodies } = world();
  const all = Array.from({ length: 2000 }, (_, i) => `${i} ${'x'.repeat(20_000)}`);
  await clock.run(Promise.all(all.map((body) => target.send(message(body)))));
  assert.deepEqual(
    bodies().map((body) => Number.parseInt(body, 10)),
    [...all.keys()],
  );
});

test('a closed target rejects the messages that it has not sent', async () => {
  const { clock, target } = world(['before', 'before', 'before']);
  const sent = Promise.allSettled(numbered(20).map((one) => target.send(one)));
  await clock.run(clock.sleep(10));
  target.close();
  const results = await clock.run(sent);
  assert.ok(results.every((one) => one.status === 'rejected' && one.reason.code === 'NODE_STOPPED'));
  await clock.run(target.settle());
});
