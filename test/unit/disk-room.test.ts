import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLittle } from '../../host/disk-room.ts';

const GIB = 2 ** 30;
const ROOM = { path: '/', device: 1, size: 30 * GIB, free: 20 * GIB, inodes: 1000, freeInodes: 900 };

test('a disk is almost full at a tenth of its space or inodes, or at 5 GiB if it is large', () => {
  assert.equal(isLittle(ROOM), false);
  assert.equal(isLittle({ ...ROOM, free: 3 * GIB }), false);
  assert.equal(isLittle({ ...ROOM, free: 3 * GIB - 1 }), true);
  assert.equal(isLittle({ ...ROOM, freeInodes: 99 }), true);
  assert.equal(isLittle({ ...ROOM, inodes: 0, freeInodes: 0 }), false);
  assert.equal(isLittle({ ...ROOM, size: 1000 * GIB, free: 6 * GIB }), false);
  assert.equal(isLittle({ ...ROOM, size: 1000 * GIB, free: 4 * GIB }), true);
});
