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
  'no JSON': '{"version":',
  null: 'null',
  'another object': JSON.stringify({ ...GOOD, version: 'elsewhere/one.age' }),
  'a changed name': JSON.stringify({ ...GOOD, version: 'versions/2026-one/age' }),
  'no session': JSON.stringify({ ...GOOD, session: 1 }),
  'half a sequence': JSON.stringify({ ...GOOD, sequence: 0.5 }),
})) {
  test(`the record of the current config counts as damaged if it is ${what}`, () => {
    assert.throws(() => parseCurrent(text), DamagedError);
  });
}
