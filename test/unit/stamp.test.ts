/** The stamp of a save, and the signature of an operator's choice, compared with values that openssl computed. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { isChosen, proofOf } from '../../user-configs/chosen.ts';
import { deriveStampKey } from '../../user-configs/config-key.ts';
import { type Stamp, sealStamp, stampReader } from '../../user-configs/stamp.ts';
import fixed from './user-config-vectors.json' with { type: 'json' };

const { stamp: vector, chosen } = fixed;
const KEY = deriveStampKey(vector.token);
const STAMP: Stamp = JSON.parse(vector.text);
const SEALED = sealStamp(KEY, STAMP);

/** @returns the result of the stamp's reader, and the bytes that it passed on */
async function read(bytes: Buffer, expected: Pick<Stamp, 'of' | 'name'> = STAMP) {
  const found: Stamp[] = [];
  const passed: Buffer[] = [];
  const reader = stampReader(KEY, expected, (stamp) => found.push(stamp));
  await pipeline(Readable.from([bytes, Buffer.from('more')]), reader, async (pieces) => {
    for await (const piece of pieces) passed.push(piece);
  });
  return { found, passed: Buffer.concat(passed) };
}

test('a stamp matches the fixed key and the fixed bytes', () => {
  assert.equal(KEY.toString('hex'), vector.key);
  const head = Buffer.from(vector.head + vector.mac, 'hex');
  assert.deepEqual(SEALED, Buffer.concat([head, Buffer.from(vector.text)]));
});

test('a stamp and everything behind it are passed on, and zstd skips the stamp', async () => {
  const { found, passed } = await read(SEALED);
  assert.deepEqual(found, [STAMP]);
  assert.deepEqual(passed, Buffer.concat([SEALED, Buffer.from('more')]));
  const archive = Buffer.concat([SEALED, execFileSync('zstd', ['-qc'], { input: 'archive' })]);
  assert.equal(String(execFileSync('zstd', ['-dqc'], { input: archive })), 'archive');
  assert.deepEqual((await read(Buffer.from('no stamp'))).found, []);
});

test('a stamp with a changed bit, a truncated one, and one of another object are refused', async () => {
  for (let at = 0; at < SEALED.length; at += 1) {
    const other = Buffer.from(SEALED);
    other.writeUInt8(other.readUInt8(at) ^ 1, at);
    // An archive without a stamp begins with another magic number.
    if (at < 4) assert.deepEqual((await read(other)).found, []);
    else await assert.rejects(read(other), /its stamp is/, `byte ${at}`);
  }
  for (let end = 8; end < SEALED.length; end += 1)
    await assert.rejects(read(SEALED.subarray(0, end)), /its stamp is cut off/);
  await assert.rejects(read(SEALED, { ...STAMP, of: 'v1/other/demo/' }), /of another user or app/);
  await assert.rejects(
    read(SEALED, { ...STAMP, name: 'versions/other.age' }),
    /not the object that was stored/,
  );
});

test("an operator's choice matches the fixed signature, which is valid for nothing else", () => {
  const { secret, prefix, current } = chosen;
  assert.equal(proofOf(secret, prefix, current), current.chosen);
  assert.ok(isChosen(secret, prefix, current));
  for (const other of [
    { ...current, generation: current.generation + 1 },
    { ...current, version: `${current.version}x` },
    { ...current, changes: 'changes/x.age' },
    { ...current, chosen: current.chosen.slice(1) },
  ])
    assert.equal(isChosen(secret, prefix, other), false);
  assert.equal(isChosen(`${secret}x`, prefix, current), false);
  assert.equal(isChosen(secret, `${prefix}x`, current), false);
});
