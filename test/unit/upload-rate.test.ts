import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UploadRate } from '../../user-configs/upload-rate.ts';

const MIB = 2 ** 20;

test('the rate of uploads is unknown until a large one has reached S3', async () => {
  let now = 0;
  const rate = new UploadRate(() => now);
  const of = (bytes: number, milliseconds: number) =>
    rate.of(
      () => bytes,
      async () => {
        now += milliseconds;
      },
    );
  await of(MIB - 1, 60_000);
  assert.equal(rate.perSecond, undefined);
  await of(10 * MIB, 1000);
  assert.equal(rate.perSecond, 10 * MIB);
  await of(1000, 60_000);
  assert.equal(rate.perSecond, 10 * MIB, 'a small upload does not determine the rate');
  for (let time = 0; time < 20; time += 1) await of(20 * MIB, 10_000);
  assert.ok(Math.abs((rate.perSecond ?? 0) / MIB - 2) < 0.1, 'the latest uploads count');
});

test('concurrent uploads to S3 count together, and a failed one does not count', async () => {
  let now = 0;
  const rate = new UploadRate(() => now);
  const gate = Promise.withResolvers<void>();
  const three = [1, 2, 3].map(() =>
    rate.of(
      () => 10 * MIB,
      () => gate.promise,
    ),
  );
  const failed = rate.of(
    () => 10 * MIB,
    async () => {
      throw new Error('no');
    },
  );
  await assert.rejects(failed);
  assert.equal(rate.perSecond, undefined);
  now = 1000;
  gate.resolve();
  await Promise.all(three);
  const measured = (rate.perSecond ?? 0) / MIB;
  assert.ok(measured > 15 && measured <= 30, `${measured} MiB a second`);
});
