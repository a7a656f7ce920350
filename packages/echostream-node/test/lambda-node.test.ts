import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type Delivery,
  type LambdaEvent,
  LambdaNode,
  type LambdaNodeOptions,
} from '../src/echostream-node.ts';
import { handleRecords } from '../src/lambda/handle-records.ts';
import { Slots } from '../src/receiving/slots.ts';
import { World } from './support/world.ts';

class TestNode extends LambdaNode {
  readonly handled: string[] = [];
  readonly #work: (delivery: Delivery, node: TestNode) => unknown;

  constructor(options: LambdaNodeOptions, work: (delivery: Delivery, node: TestNode) => unknown = () => {}) {
    super(options);
    this.#work = work;
  }

  override async handleReceivedMessage(delivery: Delivery): Promise<void> {
    await this.#work(delivery, this);
    this.handled.push(delivery.message.body);
  }
}

/** In messages such as `a1`, the first letter is the group. */
function eventOf(...bodies: readonly string[]): LambdaEvent {
  return {
    Records: bodies.map((body) => ({
      messageId: `id-${body}`,
      receiptHandle: 'r',
      body,
      attributes: { ApproximateReceiveCount: '2', MessageGroupId: body.slice(0, 1) },
      messageAttributes: { trackingId: { stringValue: `t-${body}`, dataType: 'String' } },
      eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:in.fifo',
    })),
  };
}

const failing =
  (...bodies: readonly string[]) =>
  ({ message }: Delivery): void => {
    if (bodies.includes(message.body)) throw new Error(`${message.body} fails`);
  };

const idsOf = (...bodies: readonly string[]) => ({
  batchItemFailures: bodies.map((body) => ({ itemIdentifier: `id-${body}` })),
});

test('an event whose messages are all handled reports no failures, with a handler of one line', async () => {
  await using world = await World.start();
  const seen: unknown[] = [];
  await using node = new TestNode(world.options, ({ message, source, receiveCount }) =>
    seen.push([message.body, message.trackingId, message.groupId, source, receiveCount]),
  );
  const { handler } = node;
  assert.equal(await handler(eventOf('a1', 'b1')), undefined);
  assert.deepEqual(seen, [
    ['a1', 't-a1', 'a', 'before', 2],
    ['b1', 't-b1', 'b', 'before', 2],
  ]);
  assert.equal(world.cognito.signIns, 1);
  await handler(eventOf('a2'));
  assert.equal(world.cognito.signIns, 1);
});

test('sent messages and audit records are delivered before the event is done', async () => {
  await using world = await World.start();
  const outgoing = world.queue('out');
  await using node = new TestNode(world.options, async ({ message }, self) => {
    void self.sendMessage(self.createMessage(message.body));
    await self.auditMessage(message);
  });
  await node.handleEvent(eventOf('a1', 'a2'));
  assert.equal(outgoing.messages.length, 2);
  assert.equal(world.audits.flatMap(({ auditRecords }) => auditRecords).length, 2);
});

test('without failure reports, a failure fails the whole event, and no further message is started', async () => {
  await using world = await World.start();
  await using node = new TestNode(world.options, failing('a2'));
  await assert.rejects(node.handleEvent(eventOf('a1', 'a2', 'a3', 'b1')), /a2 fails/);
  assert.deepEqual(
    node.handled.filter((body) => body.startsWith('a')),
    ['a1'],
  );
});

test('with failure reports, the failed message and the rest of its group fail, and other groups do not', async () => {
  await using world = await World.start();
  await using node = new TestNode({ ...world.options, reportBatchItemFailures: true }, failing('a2'));
  const failures = await node.handleEvent(eventOf('a1', 'b1', 'a2', 'b2', 'a3'));
  assert.deepEqual(failures, idsOf('a2', 'a3'));
  assert.deepEqual(node.handled.sort(), ['a1', 'b1', 'b2']);
});

test('messages for which too little time is left are not started, and are delivered again', async () => {
  await using world = await World.start();
  let left = 10_000;
  await using node = new TestNode({ ...world.options, reportBatchItemFailures: true }, () => {
    left = 500;
  });
  const context = { getRemainingTimeInMillis: () => left };
  assert.deepEqual(await node.handleEvent(eventOf('a1', 'a2', 'a3'), context), idsOf('a2', 'a3'));
});

test('a failed delivery of audit records does not fail the event', async () => {
  await using world = await World.start();
  world.failures.audit.push(...Array.from({ length: 20 }, () => 503));
  await using node = new TestNode(world.options, ({ message }, self) => self.auditMessage(message));
  const end = Date.now() + 5000;
  const context = { getRemainingTimeInMillis: () => end - Date.now() };
  assert.equal(await node.handleEvent(eventOf('a1'), context), undefined);
  assert.deepEqual(world.audits, []);
});

test('groups are handled concurrently if the node is configured to do so', async () => {
  await using world = await World.start();
  let [running, most] = [0, 0];
  await using node = new TestNode({ ...world.options, concurrency: 3 }, async () => {
    running += 1;
    most = Math.max(most, running);
    await setTimeout(5);
    running -= 1;
  });
  await node.handleEvent(eventOf('a1', 'b1', 'c1', 'd1', 'a2'));
  assert.equal(most, 3);
  assert.ok(node.handled.indexOf('a1') < node.handled.indexOf('a2'));
});

test('a message that keeps failing goes to its callback', async () => {
  await using world = await World.start();
  const poison: string[] = [];
  class PoisonNode extends TestNode {
    override async handlePoisonMessage({ message }: Delivery): Promise<void> {
      poison.push(message.body);
    }
  }
  await using node = new PoisonNode({ ...world.options, maxReceives: 2 }, failing('a1'));
  assert.equal(await node.handleEvent(eventOf('a1', 'a2')), undefined);
  assert.deepEqual([poison, node.handled], [['a1'], ['a2']]);
});

test('an event of another queue, or of no queue, is refused with an error that says what to do', async () => {
  await using world = await World.start();
  await using node = new TestNode(world.options);
  const [record] = eventOf('a1').Records;
  const strange = {
    Records: [{ ...record, eventSourceARN: 'arn:aws:sqs:us-east-1:0:other.fifo' }],
  } as LambdaEvent;
  await assert.rejects(node.handleEvent(strange), { code: 'EVENT_INVALID', message: /other\.fifo/ });
  await assert.rejects(node.handleEvent({} as LambdaEvent), {
    code: 'EVENT_INVALID',
    message: /event source mapping/,
  });
});

test('a node that is stopped in EchoStream fails its events, so that no message is lost', async () => {
  await using world = await World.start();
  world.node = { ...world.node, stopped: true };
  await using node = new TestNode({ ...world.options, reportBatchItemFailures: true });
  await assert.rejects(node.handleEvent(eventOf('a1')), {
    code: 'NODE_STOPPED',
    message: /event source mapping/,
  });
  assert.deepEqual(node.handled, []);
});

test('the next event retries a failed sign-in', async () => {
  await using world = await World.start();
  world.failures.cognito.push(400);
  await using node = new TestNode(world.options);
  await assert.rejects(node.handleEvent(eventOf('a1')), { code: 'SIGN_IN_FAILED' });
  assert.equal(await node.handleEvent(eventOf('a1')), undefined);
});

test('whatever an event contains, each group is handled in order up to its first failure, with at most one message per slot at once', async () => {
  const entries = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c'), fails: fc.boolean(), turns: fc.nat(3) }),
  );
  await fc.assert(
    fc.asyncProperty(entries, fc.integer({ min: 1, max: 4 }), async (given, concurrency) => {
      const all = given.map((one, i) => ({ ...one, id: String(i) }));
      const handled: string[] = [];
      let running = 0;
      const { ids } = await handleRecords(
        all,
        new Slots(concurrency),
        async ({ id, fails, turns }) => {
          running += 1;
          assert.ok(running <= concurrency);
          for (let i = 0; i < turns; i += 1) await Promise.resolve();
          running -= 1;
          if (fails) throw new Error('fails');
          handled.push(id);
        },
        () => true,
      );
      for (const key of ['a', 'b', 'c']) {
        const group = all.filter((one) => one.key === key);
        const good = group.slice(0, group.findIndex(({ fails }) => fails) >>> 0).map(({ id }) => id);
        assert.deepEqual(
          handled.filter((id) => group.some((one) => one.id === id)),
          good,
        );
      }
      assert.deepEqual(
        ids,
        all.map(({ id }) => id).filter((id) => !handled.includes(id)),
      );
    }),
  );
});
