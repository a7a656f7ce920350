import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagedNode } from '../src/echostream-node.ts';
import { TestNode } from './support/test-node.ts';
import { eventually, World } from './support/world.ts';

test('a stop lets handlers finish, returns other messages, and delivers what the handlers sent and audited', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  for (const body of ['1', '2', '3']) incoming.put('g', body);
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const node = new TestNode(world.options, async ({ message }, self) => {
    begun.resolve();
    await goOn.promise;
    await self.sendMessage(self.createMessage(message.body));
    await self.auditMessage(message);
  });
  await node.start();
  await begun.promise;
  const stopped = node.stop();
  await eventually(
    () => incoming.messages.filter(({ visibleAt }) => visibleAt <= performance.now()).length === 2,
  );
  goOn.resolve();
  await Promise.all([stopped, node.join()]);
  assert.deepEqual(node.handled, ['1']);
  assert.deepEqual(
    incoming.messages.map(({ body }) => body),
    ['2', '3'],
  );
  assert.deepEqual(
    outgoing.messages.map(({ body }) => body),
    ['1'],
  );
  assert.equal(world.audits.length, 1);
});

test('a stop takes no longer than its timeout, even if handlers do not finish', async () => {
  await using world = await World.start();
  const incoming = world.queue('in');
  incoming.put('g', '1');
  const begun = Promise.withResolvers<void>();
  let aborted: unknown;
  const node = new TestNode(world.options, async ({ signal }) => {
    signal.addEventListener('abort', () => {
      aborted = signal.reason.code;
    });
    begun.resolve();
    await new Promise(() => {});
  });
  await node.start();
  await begun.promise;
  await node.stop({ timeout: 50 });
  assert.equal(aborted, 'NODE_STOPPED');
  assert.ok((incoming.messages[0]?.visibleAt ?? 0) <= performance.now());
});

test('a node stops at the end of the block that uses it, also after an error', async () => {
  await using world = await World.start();
  let used: TestNode | undefined;
  const use = async (): Promise<void> => {
    await using node = new TestNode(world.options);
    await node.start();
    used = node;
    throw new Error('the block failed');
  };
  await assert.rejects(use(), /the block failed/);
  assert.ok(used);
  await used.join();
  await assert.rejects(used.sendMessage(used.createMessage('x')), { code: 'NODE_STOPPED' });
});

test('a node stops when the signal that was passed to start aborts', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  const controller = new AbortController();
  await node.start({ signal: controller.signal });
  controller.abort();
  await node.join();
});

test('a node that is stopped before or during its start ends normally', async () => {
  await using world = await World.start();
  const never = new TestNode(world.options);
  await Promise.all([never.stop(), never.join()]);
  const starting = new TestNode(world.options);
  const started = assert.rejects(starting.start(), { code: 'NODE_STOPPED' });
  await starting.stop();
  await started;
});

test('a failed start can be retried', async () => {
  await using world = await World.start();
  world.failures.cognito.push(400);
  await using node = new TestNode(world.options);
  await assert.rejects(node.start(), { code: 'SIGN_IN_FAILED' });
  await node.start();
});

test('a managed node handles the three signals itself', async () => {
  await using world = await World.start();
  const node = new ManagedNode(world.options);
  const before = process.listenerCount('SIGTERM');
  await node.start();
  assert.equal(process.listenerCount('SIGTERM'), before + 1);
  process.emit('SIGTERM');
  await node.join();
  assert.equal(process.listenerCount('SIGTERM'), before);
});

test('a node that runs until a signal stops gracefully when the signal arrives during its start', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  const ran = node.startAndRunForever();
  process.emit('SIGTERM');
  await ran;
  assert.equal(process.listenerCount('SIGTERM'), 0);
});
