import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { DamagedError } from '../../user-configs/damaged.ts';
import { oldFormatDecryptor } from '../../user-configs/old-format.ts';
import fc from '../support/properties.ts';
import { cutAt, pass, singly, through } from '../support/through.ts';

const PASSWORD = 'an old token, with spaces & ümlauts';
const CONTENT = randomBytes(200_000);

/** Files in the predecessor's format. */
function opensslEncrypt(content: Buffer): Buffer {
  const { stdout, stderr, status } = spawnSync(
    'openssl',
    ['enc', '-aes-256-cbc', '-pbkdf2', '-pass', 'env:PASSWORD'],
    { input: content, env: { ...process.env, PASSWORD } },
  );
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

const FILE = opensslEncrypt(CONTENT);

async function assertDamaged(file: Buffer, why: RegExp): Promise<Buffer> {
  const { released, error } = await pass(oldFormatDecryptor(PASSWORD), [file]);
  assert.ok(error instanceof DamagedError, String(error));
  assert.match(error.message, why);
  return released;
}

suite("the predecessor's encryption", () => {
  for (const length of [0, 1, 15, 16, 17, 65_536, 200_000]) {
    test(`${length} bytes that openssl encrypted are read`, async () => {
      const content = CONTENT.subarray(0, length);
      assert.ok((await through(oldFormatDecryptor(PASSWORD), [opensslEncrypt(content)])).equals(content));
    });
  }

  test('is read however it is divided into pieces', async () => {
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(places, async (cuts) => {
        assert.ok((await through(oldFormatDecryptor(PASSWORD), cutAt(FILE, cuts))).equals(CONTENT));
      }),
      { numRuns: 20 },
    );
  });

  test('is read byte by byte', async () => {
    const content = CONTENT.subarray(0, 500);
    const single = singly(opensslEncrypt(content));
    assert.ok((await through(oldFormatDecryptor(PASSWORD), single)).equals(content));
  });

  test('yields an error or other bytes for another token, and does not show the token', async () => {
    for (const token of ['', 'some-other-token', `${PASSWORD} `]) {
      const { released, error } = await pass(oldFormatDecryptor(token), [FILE]);
      assert.equal(released.subarray(0, 64).equals(CONTENT.subarray(0, 64)), false);
      if (error === undefined) continue;
      assert.ok(error instanceof DamagedError);
      assert.match(error.message, /the padding is wrong/);
      assert.equal(token !== '' && error.message.includes(token), false);
    }
  });

  test('is refused when it is shorter than its header', async () => {
    for (let length = 0; length < 16; length++) {
      await assertDamaged(FILE.subarray(0, length), /shorter than its header/);
    }
  });

  test('is refused when nothing follows its header', async () => {
    await assertDamaged(FILE.subarray(0, 16), /the padding is wrong/);
  });

  test('is refused when it is truncated within a block', async () => {
    const released = await assertDamaged(FILE.subarray(0, -1), /the padding is wrong/);
    assert.ok(released.equals(CONTENT.subarray(0, released.length)));
  });

  test('is refused when it has another header', async () => {
    const file = Buffer.from(FILE);
    file.write('salted__');
    assert.equal((await assertDamaged(file, /does not begin with Salted__/)).length, 0);
    await assertDamaged(Buffer.from('age-encryption.org/v1\n'), /does not begin with Salted__/);
  });
});
