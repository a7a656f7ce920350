import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueueGone } from '../src/queue.ts';
import type { Held } from '../src/receiving/held.ts';
import { type Fault, MemoryQueue, type Operation } from './support/memory-queue.ts';
import { makeSource, NEVER, until } from './support/sources.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** A queue with messages a1 a2 … b1 b2 …, and a record of what happened. */
function world(groups: Readonly<Record<string, number>>, fault?: (operation: Operation) => Fault) {
  const clock = new VirtualClock();
  const queue = new MemoryQueue(clock, fault);
  const most = Math.max(...Object.values(groups));
  for (let i = 1; i <= most; i += 1) {
    for (const [group, count] of Object.entries(groups)) if (i <= count) queue.put(group, `${group}${i}`);
  }
  const handled: string[] = [];
  const handle = async ({ message }: Held): Promise<void> => {
    await clock.sleep(20);
    handled.push(message.body);
  };
  const isEmpty = (): Promise<void> => until(clock, () => queue.messages.length === 0);
  return { clock, queue, handled, handle, isEmpty };
}

test('messages of a group are handled one at a time, in order, and deleted ten at a time', async () => {
  const { clock, queue, handled, isEmpty } = world({ a: 20 });
  const handle = async ({ message }: Held): Promise<unknown> => handled.push(message.body);
  const source = makeSource(clock, queue, handle, { concurrency: 5 });
  source.start();
  await clock.run(isEmpty());
  await clock.run(source.stop(NEVER));
  assert.deepEqual(
    handled,
    Array.from({ length: 20 }, (_, i) => `a${i + 1}`),
  );
  assert.equal(queue.calls.filter((call) => call === 'delete').length, 2);
});

test('ten groups in ten slots take a tenth of the time of one slot', async () => {
  const groups = Object.fromEntries('abcdefghij'.split('').map((group) => [group, 10]));
  const times = [];
  for (const concurrency of [1, 10]) {
    const { clock, queue, handled, handle, isEmpty } = world(groups);
    const source = makeSource(clock, queue, handle, { concurrency });
    source.start();
    await clock.run(isEmpty());
    times.push(clock.now());
    await clock.run(source.stop(NEVER));
    assert.equal(handled.length, 100);
  }
  const [sequential = 0, parallel = 0] = times;
  assert.ok(sequential / parallel >= 8, `${sequential} ms and ${parallel} ms`);
});

test('a free slot is filled at once, even while others of the batch are still busy', async () => {
  const { clock, queue, handled, handle } = world({ slow: 1, a: 30 });
  const source = makeSource(
    clock,
    queue,
    async (held) => (held.message.body === 'slow1' ? clock.sleep(60_000) : handle(held)),
    { concurrency: 2 },
  );
  source.start();
  await clock.run(until(clock, () => handled.length === 30));
  assert.ok(clock.now() < 5000, `${clock.now()} ms`);
  await clock.run(source.stop(NEVER));
});

test('a node receives no more messages than its slots can handle soon', async () => {
  const { clock, queue } = world({ a: 5, b: 5, c: 5, d: 5, e: 5, f: 5, g: 5, h: 5, i: 5 });
  const source = makeSource(clock, queue, () => clock.sleep(10_000), { concurrency: 1 });
  source.start();
  await clock.run(clock.sleep(9000));
  assert.equal(queue.messages.filter(({ receiveCount }) => receiveCount > 0).length, 10);
  await clock.run(source.stop(NEVER));
});

test('a failed message is returned to the queue at once and is handled before later messages of its group', async () => {
  const { clock, queue, handled, handle, isEmpty } = world({ a: 3, b: 2 });
  const tries: string[] = [];
  const source = makeSource(clock, queue, async (held) => {
    tries.push(held.message.body);
    if (held.message.body === 'a1' && held.receiveCount < 3) throw new Error('not yet');
    await handle(held);
  });
  source.start();
  await clock.run(isEmpty());
  assert.ok(clock.now() < 2000, `${clock.now()} ms`);
  await clock.run(source.stop(NEVER));
  assert.deepEqual(
    tries.filter((body) => body.startsWith('a')),
    ['a1', 'a1', 'a1', 'a2', 'a3'],
  );
  assert.deepEqual(
    handled.filter((body) => body.startsWith('b')),
    ['b1', 'b2'],
  );
});

test('a message whose return to the queue fails, entirely or for one entry, is returned by a retry', async () => {
  for (const kind of ['before', 'after', 'entry'] as const) {
    const failures: Fault['kind'][] = [kind, kind];
    const { clock, queue, handle, handled, isEmpty } = world({ a: 2 }, (operation) => ({
      kind: (operation === 'changeVisibility' && failures.shift()) || 'none',
    }));
    const source = makeSource(clock, queue, async (held) => {
      if (held.receiveCount === 1) throw new Error('not yet');
      await handle(held);
    });
    source.start();
    await clock.run(isEmpty());
    assert.deepEqual(handled, ['a1', 'a2']);
    assert.ok(clock.now() < 5000, `${kind}: ${clock.now()} ms`);
    await clock.run(source.stop(NEVER));
  }
});

test('the backoff function gets the delivery count and the error, and decides when a failed message is delivered again', async () => {
  const { clock, queue, handle, isEmpty } = world({ a: 2 });
  const asked: unknown[] = [];
  const source = makeSource(
    clock,
    queue,
    async (held) => {
      if (held.receiveCount === 1 && held.message.body === 'a1') throw new Error('not yet');
      await handle(held);
    },
    {
      backoff: ({ message, receiveCount, source: name }, error) => {
        asked.push([message.body, receiveCount, name, (error as Error).message]);
        return 60;
      },
    },
  );
  source.start();
  await clock.run(isEmpty());
  assert.ok(clock.now() > 60_000 && clock.now() < 62_000, `${clock.now()} ms`);
  assert.deepEqual(asked, [['a1', 1, 'before', 'not yet']]);
  await clock.run(source.stop(NEVER));
});

test('a message and those that wait behind it stay invisible while its handler runs', async () => {
  const { clock, queue, handled, isEmpty } = world({ a: 2 });
  const source = makeSource(clock, queue, async ({ message }) => {
    await clock.sleep(300_000);
    handled.push(message.body);
  });
  source.start();
  await clock.run(isEmpty());
  assert.deepEqual(handled, ['a1', 'a2']);
  await clock.run(source.stop(NEVER));
});

test('after twelve hours, when SQS shows a message again, its handler is notified and its group stops', async () => {
  const { clock, queue } = world({ a: 2 });
  const aborted: string[] = [];
  let begun = 0;
  const source = makeSource(clock, queue, async ({ message, signal }) => {
    begun += 1;
    if (begun > 1) return;
    await clock.sleep(24 * 3600_000, signal).catch((error: Error) => {
      aborted.push(
        `${message.body}: ${(error as { code?: string }).code} after ${Math.round(clock.now() / 3600_000)} h`,
      );
    });
    throw signal.reason;
  });
  source.start();
  await clock.run(until(clock, () => queue.messages.length === 0, 60_000));
  assert.deepEqual(aborted, ['a1: MESSAGE_LOST after 12 h']);
  await clock.run(source.stop(NEVER));
});

test('a handled message that is delivered again to the same process is deleted and not handled twice', async () => {
  const { clock, queue, handled, handle, isEmpty } = world({ a: 3 });
  const source = makeSource(clock, queue, async (held) => {
    await handle(held);
    if (held.message.body === 'a1') queue.expire();
  });
  source.start();
  await clock.run(isEmpty());
  assert.deepEqual(handled, ['a1', 'a2', 'a3']);
  await clock.run(source.stop(NEVER));
});

test('a delete that fails, entirely or for one entry, is retried', async () => {
  const failures: Fault['kind'][] = ['before', 'after', 'entry', 'entry'];
  const { clock, queue, handled, handle, isEmpty } = world({ a: 25, b: 25 }, (operation) => ({
    kind: (operation === 'delete' && failures.shift()) || 'none',
  }));
  const source = makeSource(clock, queue, handle, { concurrency: 2 });
  source.start();
  await clock.run(isEmpty());
  assert.equal(handled.length, 50);
  assert.equal(failures.length, 0);
  await clock.run(source.stop(NEVER));
});

test('messages of a lost answer are received again by the retry, before their visibility ends', async () => {
  const failures: Fault['kind'][] = ['after'];
  const { clock, queue, handled, handle, isEmpty } = world({ a: 5 }, (operation) => ({
    kind: (operation === 'receive' && failures.shift()) || 'none',
  }));
  const source = makeSource(clock, queue, handle);
  source.start();
  await clock.run(isEmpty());
  assert.equal(handled.length, 5);
  assert.ok(clock.now() < 5000, `${clock.now()} ms`);
  await clock.run(source.stop(NEVER));
});

test('a stop waits for the running handler and returns messages that have not been started at once', async () => {
  const { clock, queue, handled, handle } = world({ a: 5, b: 5 });
  const source = makeSource(clock, queue, handle);
  source.start();
  await clock.run(until(clock, () => handled.length === 3));
  await clock.run(clock.sleep(5));
  await clock.run(source.stop(NEVER));
  assert.equal(handled.length, 4);
  assert.equal(queue.messages.length, 6);
  assert.ok(queue.messages.every(({ visibleAt }) => visibleAt <= clock.now()));
});

test('a stop during a long poll is immediate and leaves no message invisible', async () => {
  const { clock, queue, handled, handle } = world({ a: 0 });
  const source = makeSource(clock, queue, handle);
  source.start();
  await clock.run(clock.sleep(1000));
  queue.put('a', 'a1');
  await clock.run(source.stop(NEVER));
  assert.ok(clock.now() < 1100, `${clock.now()} ms`);
  assert.deepEqual(handled, []);
  assert.ok(queue.messages.every(({ visibleAt }) => visibleAt <= clock.now()));
});

test('a handler that exceeds the deadline of a stop is notified, and its message is returned to the queue', async () => {
  const { clock, queue } = world({ a: 1 });
  let reason: unknown;
  const source = makeSource(clock, queue, async ({ signal }) => {
    await clock.sleep(1e9, signal).catch(() => {});
    reason = signal.reason;
    throw reason;
  });
  source.start();
  await clock.run(clock.sleep(1000));
  const deadline = new AbortController();
  const stopped = source.stop(deadline.signal);
  await clock.run(clock.sleep(1000));
  deadline.abort();
  await clock.run(stopped);
  assert.equal((reason as { code?: string }).code, 'NODE_STOPPED');
  assert.ok(queue.messages.every(({ visibleAt }) => visibleAt <= clock.now()));
});

test('a node polls an unreachable queue again, with increasing delays', async () => {
  let failing = true;
  const { clock, queue, handled, handle, isEmpty } = world({ a: 1 }, () => ({
    kind: failing ? 'before' : 'none',
  }));
  const source = makeSource(clock, queue, handle);
  source.start();
  await clock.run(clock.sleep(120_000));
  assert.ok(queue.calls.length > 5 && queue.calls.length < 20, `${queue.calls.length} calls`);
  failing = false;
  await clock.run(isEmpty());
  assert.deepEqual(handled, ['a1']);
  await clock.run(source.stop(NEVER));
});

test('a source whose queue was deleted receives nothing more, and stops gracefully', async () => {
  const { clock, queue, handle } = world({ a: 1 });
  const source = makeSource(clock, queue, handle);
  let calls = 0;
  queue.receive = async () => {
    calls += 1;
    throw new QueueGone('the queue is gone');
  };
  source.start();
  await clock.run(clock.sleep(600_000));
  assert.equal(calls, 1);
  await clock.run(source.stop(NEVER));
});
