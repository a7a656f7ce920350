import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuditRecord, Audits, type Deliver, Refused, TooLarge } from '../src/audits.ts';
import { AppNode } from '../src/echostream-node.ts';
import { quietLogger } from './support/sources.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { eventually, World } from './support/world.ts';

const record = (trackingId: string): AuditRecord => ({
  datetime: '2026-01-01T00:00:00.000Z',
  previousTrackingIds: null,
  sourceNode: null,
  trackingId,
});

function world(deliver?: Deliver) {
  const clock = new VirtualClock();
  const delivered: number[] = [];
  const ends: string[] = [];
  const audits = new Audits({
    messageType: 'text',
    clock,
    logger: quietLogger,
    onEnd: (count, outcome) => ends.push(`${outcome} ${count}`),
    deliver: async (body) => {
      await clock.sleep(1);
      await deliver?.(body);
      delivered.push(body.auditRecords.length);
    },
  });
  const add = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, i) => audits.add(record(String(i)))));
  return { clock, audits, delivered, ends, add };
}

test('audit records are delivered 500 at a time', async () => {
  const { clock, audits, delivered, ends, add } = world();
  await clock.run(add(1200));
  await clock.run(audits.settle());
  assert.deepEqual(delivered, [500, 500, 200]);
  assert.deepEqual(ends, ['delivered 500', 'delivered 500', 'delivered 200']);
});

test('a lone record waits 0.1 s for others, but not when the node flushes', async () => {
  const { clock, audits, delivered, add } = world();
  await clock.run(add(1));
  await clock.run(clock.sleep(99));
  assert.deepEqual(delivered, []);
  await clock.run(clock.sleep(5));
  assert.deepEqual(delivered, [1]);
  await clock.run(add(1));
  const before = clock.now();
  await clock.run(audits.settle());
  assert.ok(clock.now() - before < 50);
});

test('a failed delivery is retried with increasing delays, and loses no record', async () => {
  let failures = 5;
  const { clock, audits, delivered, ends, add } = world(async () => {
    failures -= 1;
    if (failures >= 0) throw new Error('not yet');
  });
  await clock.run(add(3));
  await clock.run(audits.settle());
  assert.deepEqual([delivered, ends], [[3], ['delivered 3']]);
});

test('records that are refused permanently are dropped and counted', async () => {
  const { clock, audits, ends, add } = world(async () => {
    throw new Refused('no');
  });
  await clock.run(add(3));
  await clock.run(audits.settle());
  assert.deepEqual(ends, ['dropped 3']);
});

test('a batch that is too large is split, and only a record that is too large by itself is dropped', async () => {
  const { clock, audits, delivered, ends, add } = world(async ({ auditRecords }) => {
    const isHuge = auditRecords.some(({ trackingId }) => trackingId === '300');
    if (auditRecords.length > 200 || isHuge) throw new TooLarge('status 413');
  });
  await clock.run(add(500));
  await clock.run(audits.settle());
  assert.equal(
    delivered.reduce((sum, count) => sum + count),
    499,
  );
  assert.deepEqual(
    ends.filter((end) => !end.startsWith('delivered')),
    ['dropped 1'],
  );
});

test('a delivery that the audit function calls too large is repeated in smaller parts', async () => {
  await using all = await World.start();
  all.failures.audit.push(413);
  const node = new AppNode(all.options);
  await node.start();
  await node.auditMessages(Array.from({ length: 4 }, () => node.createMessage('x')));
  await node.stop();
  assert.deepEqual(
    all.audits.map(({ auditRecords }) => auditRecords.length),
    [2, 2],
  );
});

test('while deliveries fail, at most 10,000 records are kept, and further calls wait for room', async () => {
  let broken = true;
  const { clock, audits, add } = world(async () => {
    if (broken) throw new Error('not yet');
  });
  await clock.run(add(10_000));
  const more = add(1).then(() => 'kept');
  const later = clock.sleep(60_000).then(() => 'waits');
  assert.equal(await clock.run(Promise.race([more, later])), 'waits');
  broken = false;
  await clock.run(more);
  await clock.run(audits.settle());
});

test('records that are not delivered when the node closes are dropped and counted', async () => {
  const { clock, audits, ends, add } = world(async () => {
    throw new Error('not yet');
  });
  await clock.run(add(10_000));
  const waiting = add(2);
  audits.close();
  await clock.run(waiting);
  await clock.run(audits.settle());
  assert.deepEqual(ends, ['dropped 10000', 'dropped 1', 'dropped 1']);
});

test('deliveries of more than ten records are gzipped, and a local auditor supplies attributes', async () => {
  await using all = await World.start();
  await using node = new AppNode({
    ...all.options,
    auditors: { text: (body) => ({ size: body.length, from: 'auditor' }) },
  });
  await node.start();
  const messages = Array.from({ length: 11 }, (_, i) => node.createMessage('x'.repeat(i + 1)));
  await node.auditMessages(messages, { extraAttributes: messages.map((_, i) => ({ i, from: 'caller' })) });
  await eventually(() => all.audits.length === 1);
  assert.equal(all.audits[0]?.headers['content-encoding'], 'gzip');
  const attributes = all.audits[0]?.auditRecords.map((one) => one.attributes);
  assert.deepEqual(attributes?.[2], { size: 3, i: 2, from: 'caller' });
  await node.auditMessages(messages.slice(0, 10));
  await eventually(() => all.audits.length === 2);
  assert.equal(all.audits[1]?.headers['content-encoding'], undefined);
  await assert.rejects(node.auditMessages(messages, { extraAttributes: [{}] }), { code: 'MESSAGE_INVALID' });
});

test('a tenant without audits receives no audit records', async () => {
  await using all = await World.start();
  all.node = { ...all.node, tenant: { ...all.node.tenant, audit: false } };
  const node = new AppNode(all.options);
  await node.start();
  assert.equal(node.audit, false);
  await node.auditMessage(node.createMessage('x'));
  await node.stop();
  assert.deepEqual(all.audits, []);
});

test('a delivery with a refused signature is signed again with new credentials', async () => {
  await using all = await World.start();
  all.failures.audit.push(403);
  const node = new AppNode(all.options);
  await node.start();
  await node.auditMessage(node.createMessage('x'));
  await node.stop();
  assert.match(String(all.audits[0]?.headers.authorization), /Credential=key-2/);
});
