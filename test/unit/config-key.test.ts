import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { deriveIdentity, privateKey, publicKey, recipientOf } from '../../user-configs/config-key.ts';
import { identityText, recipientText } from '../support/bech32.ts';
import fc from '../support/properties.ts';
import fixed from './user-config-vectors.json' with { type: 'json' };

/** The documented derivation of a key from a token, as its reader would run it. */
const documented = /`age-key\.mjs`.*?```js\n(.*?)```/s.exec(
  readFileSync(join(import.meta.dirname, '../../docs/user-config-format.md'), 'utf8'),
)?.[1];

function run(program: string, args: readonly string[], input: string): string {
  const { stdout, stderr, status } = spawnSync(program, args, { input, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

suite("a user config's key", () => {
  for (const vector of fixed.vectors) {
    test(`matches the fixed vector: ${vector.name}`, () => {
      const identity = deriveIdentity(vector.token);
      assert.equal(identity.toString('hex'), vector.identity);
      assert.equal(recipientOf(identity).toString('hex'), vector.recipient);
      assert.equal(identityText(identity), vector.identityText);
      assert.equal(recipientText(recipientOf(identity)), vector.recipientText);
    });
  }

  test('differs for another token', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
        assert.equal(deriveIdentity(a).equals(deriveIdentity(b)), a === b);
      }),
    );
  });

  test('is not derived from an empty token', () => {
    assert.throws(() => deriveIdentity(''), RangeError);
  });

  test('has halves of 32 bytes, and anything else is refused', () => {
    for (const length of [0, 31, 33]) {
      assert.throws(() => privateKey(Buffer.alloc(length, 1)), RangeError);
      assert.throws(() => publicKey(Buffer.alloc(length, 1)), RangeError);
      assert.throws(() => recipientOf(Buffer.alloc(length, 1)), RangeError);
    }
  });

  test('has the public half that age-keygen computes', () => {
    const identity = deriveIdentity('a token for age-keygen');
    assert.equal(
      run('age-keygen', ['-y'], identityText(identity)).trim(),
      recipientText(recipientOf(identity)),
    );
  });

  test("is what the program in the format's description prints", () => {
    assert.ok(documented, 'the description has no program');
    for (const { token, identityText: expected } of fixed.vectors) {
      assert.equal(
        run(process.execPath, ['--input-type=module', '--eval', documented], token),
        `${expected}\n`,
      );
    }
  });
});
