/** The times at which updates of nodes may run. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { updateWindow } from '../../settings/update-window.ts';

const opens = (text: string, now: string) => {
  const at = updateWindow(text)?.opensAt(Date.parse(now));
  return at === undefined ? 'open' : new Date(at).toISOString().slice(0, 16);
};

test('an update window is a range in UTC, on all days or on some, also over midnight', () => {
  // 2026-11-30 is a Monday.
  assert.equal(opens('02:00-04:30', '2026-11-30T01:59:59Z'), '2026-11-30T02:00');
  assert.equal(opens('02:00-04:30', '2026-11-30T02:00:00Z'), 'open');
  assert.equal(opens('02:00-04:30', '2026-11-30T04:30:00Z'), '2026-12-01T02:00');
  assert.equal(opens('Mon-Fri 02:00-04:30', '2026-12-04T12:00:00Z'), '2026-12-07T02:00');
  assert.equal(opens('Sat,Sun 22:00-02:00', '2026-11-30T01:00:00Z'), 'open');
  assert.equal(opens('Sat,Sun 22:00-02:00', '2026-11-30T03:00:00Z'), '2026-12-05T22:00');
  assert.equal(opens('Mon 10:00-11:00', '2026-11-30T11:00:00Z'), '2026-12-07T10:00');
  assert.equal(opens('Fri-Mon 00:00-23:59', '2026-12-01T00:00:00Z'), '2026-12-04T00:00');
  assert.equal(updateWindow('none'), undefined);
});

for (const text of [
  '',
  '2:00-4:00',
  '24:00-25:00',
  '02:60-04:00',
  '02:00-02:00',
  'Mo 02:00-04:00',
  'Mon-Fri-Sat 02:00-04:00',
]) {
  test(`"${text}" is refused as an update window`, () => {
    assert.throws(() => updateWindow(text), /must be a range in UTC such as 02:00-04:30/);
  });
}
