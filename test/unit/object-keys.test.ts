import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oldKeyOf, prefixOf } from '../../user-configs/object-keys.ts';
import fc from '../support/properties.ts';

test('the keys of a user and an app are stable, below a readable prefix', () => {
  assert.equal(prefixOf('user@x.com', 'dev/browsers/chrome'), 'v1/user@x.com/dev%2Fbrowsers%2Fchrome/');
  assert.equal(prefixOf('ü', ''), 'v1/%C3%BC//');
});

test('whatever the names of a user and an app, neither can reach the objects of others', () => {
  const name = fc.string({
    unit: fc.oneof(
      fc.constantFrom('/', '.', '%', '~', 'a', '\0', '\n'),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
    maxLength: 400,
  });
  const pair = fc.tuple(name, name);
  fc.assert(
    fc.property(pair, pair, (one, other) => {
      const [a, b] = [prefixOf(...one), prefixOf(...other)];
      const same = one[0] === other[0] && one[1] === other[1];
      assert.equal(a === b, same);
      if (!same) assert.ok(!a.startsWith(b));
      assert.match(a, /^v1\/[\w@.%~-]*\/[\w@.%~-]*\/$/);
      assert.doesNotMatch(a, /\/\./);
      assert.ok(a.length < 700);
    }),
    { numRuns: 2000 },
  );
  for (const [one, other] of [
    ['a/b', 'a%2Fb'],
    ['..', '%2E.'],
    ['\ud800', '\ud801'],
    ['\ud800', '\\ud800'],
    ['x'.repeat(301), 'x'.repeat(302)],
  ] as const) {
    assert.notEqual(prefixOf(one, 'app'), prefixOf(other, 'app'));
    assert.notEqual(prefixOf('user', one), prefixOf('user', other));
  }
});

test("an object in the predecessor's format is looked up only if it can belong to nobody else", () => {
  assert.equal(oldKeyOf('user@x.com', 'dev/chrome'), 'user@x.com/dev/chrome/fractal-app-config.tar.lz4.enc');
  assert.equal(oldKeyOf('user@x.com/dev', 'chrome'), undefined);
});
