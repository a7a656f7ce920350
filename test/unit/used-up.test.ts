/** Memory that is given back at once. */

import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { release, releasing } from '../../user-configs/used-up.ts';

test('a buffer that is used up is empty, unless others have a part of its memory', () => {
  const own = Buffer.alloc(100_000, 'a');
  release(own);
  assert.equal(own.length, 0);
  const part = Buffer.alloc(100_000, 'a').subarray(1);
  release(part);
  assert.equal(part.length, 99_999);
  const small = Buffer.from('of a pool');
  release(small);
  assert.equal(String(small), 'of a pool');
});

test('what is passed on arrives before it is released', async () => {
  const arrived: string[] = [];
  const target = new Writable({
    write: (bytes: Buffer, _encoding, done) =>
      void setImmediate(() => done(void arrived.push(String(bytes)))),
  });
  const pieces = ['a', 'b', 'c'].map((letter) => Buffer.alloc(10, letter));
  await pipeline(
    pieces.map((piece) => Buffer.from(piece)),
    releasing(target),
  );
  assert.deepEqual(arrived, pieces.map(String));
  assert.ok(target.writableFinished);
});

test('what is passed on fails as what takes it does, also while nothing comes', async () => {
  const target = new Writable({ write: (_bytes, _encoding, done) => done() });
  const stream = releasing(target);
  target.destroy(new Error('it ended'));
  await assert.rejects(finished(stream), /it ended/);
  const left = new Writable();
  const other = releasing(left);
  left.destroy();
  await assert.rejects(finished(other), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
});
