import assert from 'node:assert/strict';
import test from 'node:test';
import { parseCurrent } from '../../user-configs/current.ts';
import { DamagedError } from '../../user-configs/damaged.ts';

const GOOD = { version: 'versions/2026-one.age', session: 'one', sequence: 3 };

test('the record of the current config is read back as it was written', () => {
  const changed = { ...GOOD, changes: 'versions/2026-two.age' };
  assert.deepEqual(parseCurrent(JSON.stringify(GOOD)), GOOD);
  assert.deepEqual(parseCurrent(JSON.stringify(changed)), changed);
});

for (const [what, text] of Object.entries({
  'not JSON': '{"version":',
  null: 'null',
  'a record with a version elsewhere': JSON.stringify({ ...GOOD, version: 'elsewhere/one.age' }),
  'a record with a slash in its version': JSON.stringify({ ...GOOD, version: 'versions/2026-one/age' }),
  'a record without a valid session': JSON.stringify({ ...GOOD, session: 1 }),
  'a record with a fractional sequence': JSON.stringify({ ...GOOD, sequence: 0.5 }),
})) {
  test(`the record of the current config counts as damaged if it is ${what}`, () => {
    assert.throws(() => parseCurrent(text), DamagedError);
  });
}
