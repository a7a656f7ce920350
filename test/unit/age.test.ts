import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, createHmac, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { decryptor, encrypt as encryptPieces } from '../../user-configs/age.ts';
import { derive, seal } from '../../user-configs/age-cipher.ts';
import { headerFor, LONGEST_HEADER } from '../../user-configs/age-header.ts';
import { rawPublicKey, recipientOf } from '../../user-configs/config-key.ts';
import { DamagedError } from '../../user-configs/damaged.ts';
import { identityText, recipientText } from '../support/bech32.ts';
import fc from '../support/properties.ts';
import { cutAt, pass, singly, through } from '../support/through.ts';
import fixed from './user-config-vectors.json' with { type: 'json' };

const CHUNK = 65_536;
const SEALED = CHUNK + 16;
const IDENTITY = randomBytes(32);
const RECIPIENT = recipientOf(IDENTITY);
const NOISE = randomBytes(5 * CHUNK);

const encrypt = (...pieces: Buffer[]) => Buffer.concat([...encryptPieces(RECIPIENT, pieces)]);
const decrypt = (...writes: Buffer[]) => through(decryptor(IDENTITY), writes);

/** Content sizes around the limits of chunks, and others. */
const SIZES = [
  0,
  1,
  2,
  1000,
  ...[1, 2, 4, 5].flatMap((n) => [n * CHUNK - 1, n * CHUNK, n * CHUNK + 1]),
].filter((size) => size <= NOISE.length);

const anySize = fc.oneof(fc.constantFrom(...SIZES), fc.nat(NOISE.length));
const anyCuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

suite('an age file', () => {
  for (const size of SIZES) {
    test(`with ${size} bytes decrypts to what was encrypted`, async () => {
      const content = NOISE.subarray(0, size);
      const file = encrypt(content);
      assert.ok((await decrypt(file)).equals(content));
    });
  }

  test('decrypts to the same content however it is divided into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(anySize, anyCuts, anyCuts, async (size, plainCuts, sealedCuts) => {
        const content = NOISE.subarray(0, size);
        const file = encrypt(...cutAt(content, plainCuts));
        assert.ok((await decrypt(...cutAt(file, sealedCuts))).equals(content));
      }),
    );
  });

  test('can be written and read byte by byte', async () => {
    const content = NOISE.subarray(0, CHUNK + 3);
    const file = encrypt(...singly(content));
    assert.ok((await through(decryptor(IDENTITY), singly(file))).equals(content));
  });

  test('is read in pieces, each of which is given back when it is no longer needed', async () => {
    const pieces = cutAt(encrypt(NOISE.subarray(0, 2 * CHUNK)), [0.0001, 0.5, 0.9]);
    const usedUp: Buffer[] = [];
    await through(
      decryptor(IDENTITY, (piece) => usedUp.push(piece)),
      pieces,
    );
    assert.deepEqual(usedUp, pieces);
  });

  test('of exactly one chunk has one full chunk and no empty one after it', async () => {
    const overhead = encrypt().length - 16;
    assert.equal(encrypt(NOISE.subarray(0, CHUNK)).length, overhead + SEALED);
    assert.equal(encrypt(NOISE.subarray(0, CHUNK + 1)).length, overhead + SEALED + 17);
  });

  test('is different each time', async () => {
    const [one, another] = [encrypt(NOISE), encrypt(NOISE)];
    assert.equal(one.length, another.length);
    assert.equal(one.subarray(-CHUNK).equals(another.subarray(-CHUNK)), false);
  });

  test('is not written for an invalid key', () => {
    assert.throws(() => [...encryptPieces(Buffer.alloc(31, 1), [])], RangeError);
    assert.throws(() => decryptor(Buffer.alloc(33, 1)), RangeError);
    assert.throws(() => [...encryptPieces(Buffer.alloc(32), [])], /derivation/);
  });

  for (const { name, identity, age, plaintextBytes, plaintextSha256, plaintext } of fixed.vectors) {
    test(`from a fixed vector is read: ${name}`, async () => {
      const content = await through(decryptor(Buffer.from(identity, 'hex')), [Buffer.from(age, 'base64')]);
      assert.equal(content.length, plaintextBytes);
      assert.equal(createHash('sha256').update(content).digest('hex'), plaintextSha256);
      if (plaintext === undefined) assert.ok(content.every((byte, i) => byte === i % 251));
      else assert.equal(content.toString('base64'), plaintext);
    });
  }
});

suite("with Debian's age", () => {
  const directory = mkdtempSync(join(tmpdir(), 'age-'));
  after(() => rmSync(directory, { recursive: true }));
  const keyFile = join(directory, 'key');
  writeFileSync(keyFile, `${identityText(IDENTITY)}\n`, { mode: 0o600 });

  const age = (args: readonly string[], input: Buffer): Buffer => {
    const { stdout, stderr, status } = spawnSync('age', args, { input, maxBuffer: 2 ** 24 });
    assert.equal(status, 0, stderr.toString());
    return stdout;
  };

  for (const size of SIZES) {
    test(`${size} bytes are decrypted in both directions`, async () => {
      const content = NOISE.subarray(0, size);
      assert.ok(age(['-d', '-i', keyFile], encrypt(content)).equals(content));
      assert.ok((await decrypt(age(['-r', recipientText(RECIPIENT)], content))).equals(content));
    });
  }

  test('a file for several recipients can be read by each of them', async () => {
    const another = recipientText(recipientOf(randomBytes(32)));
    const own = recipientText(RECIPIENT);
    const content = NOISE.subarray(0, 10);
    assert.ok((await decrypt(age(['-r', another, '-r', own], content))).equals(content));
    assert.ok((await decrypt(age(['-r', own, '-r', another], content))).equals(content));
  });
});

/** @returns the message. The output until then is a prefix of `content`. */
async function assertDamaged(file: Buffer, content: Buffer, key = IDENTITY): Promise<string> {
  const { released, error } = await pass(decryptor(key), [file]);
  assert.ok(error instanceof DamagedError, `no damage was found: ${String(error)}`);
  assert.ok(released.length <= content.length);
  assert.ok(content.subarray(0, released.length).equals(released), 'other bytes were released');
  return error.message;
}

suite('a damaged age file is refused', async () => {
  const content = NOISE.subarray(0, 2 * CHUNK + 100);
  const file = encrypt(content);
  const start = file.length - content.length - 3 * 16;
  const chunks = [0, 1, 2].map((i) => file.subarray(start + i * SEALED, start + (i + 1) * SEALED));
  const [first, second, third] = chunks as [Buffer, Buffer, Buffer];
  const head = file.subarray(0, start);

  test("if it is truncated near its beginning or a chunk's boundary", async () => {
    const limits = [start, start + SEALED, start + 2 * SEALED, file.length - 16, file.length - 1];
    const near = limits.flatMap((limit) => [-17, -16, -1, 0, 1, 15, 16, 17].map((by) => limit + by));
    for (const length of [...Array.from({ length: start }, (_, i) => i), ...near]) {
      if (length < file.length) await assertDamaged(file.subarray(0, length), content);
    }
  });

  test('if it is truncated anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), async (length) => {
        await assertDamaged(file.subarray(0, length), content);
      }),
    );
  });

  function flipped(bit: number): Buffer {
    const changed = Buffer.from(file);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return changed;
  }

  test('if any bit before its payload is changed', async () => {
    for (let bit = 0; bit < start * 8; bit++) {
      const { released, error } = await pass(decryptor(IDENTITY), [flipped(bit)]);
      assert.ok(error instanceof DamagedError, `bit ${bit}`);
      assert.equal(released.length, 0);
    }
  });

  test('S6: if a bit in its payload is changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: start * 8, max: file.length * 8 - 1 }), async (bit) => {
        await assertDamaged(flipped(bit), content);
      }),
    );
  });

  test('if its chunks are reordered, or one is missing or added', async () => {
    for (const order of [
      [second, first, third],
      [first, third, second],
      [third, second, first],
      [second, third],
      [first, third],
      [first, second],
      [first],
      [third],
      [],
      [first, first, second, third],
      [first, second, second, third],
      [first, second, third, third],
      [first, second, third, first],
    ]) {
      await assertDamaged(Buffer.concat([head, ...order]), content);
    }
  });

  test('with a message that names the damaged chunk', async () => {
    const zeros = Buffer.alloc(SEALED);
    assert.equal(
      await assertDamaged(Buffer.concat([head, first, zeros, third]), content),
      'chunk 1 of the payload is changed, or has another place',
    );
    assert.equal(
      await assertDamaged(file.subarray(0, -1), content),
      'chunk 2 of the payload is changed, or the file is cut off',
    );
  });

  test('if bytes follow its end', async () => {
    for (const more of [1, 15, 16, 17, CHUNK, SEALED]) {
      await assertDamaged(Buffer.concat([file, Buffer.alloc(more)]), content);
    }
    await assertDamaged(Buffer.concat([file, file]), content);
  });

  test("if it has another file's payload", async () => {
    const another = encrypt(content);
    await assertDamaged(Buffer.concat([head, another.subarray(start)]), content);
  });

  test('if its key is another one, which is distinguished from other damage', async () => {
    const message = await assertDamaged(file, content, randomBytes(32));
    assert.equal(message, 'no stanza of the header opens with this key: another token, or a damaged header');
    assert.doesNotMatch(await assertDamaged(flipped(start * 8), content), /another token/);
  });

  test('if it is not an age file', async () => {
    const nothing = Buffer.alloc(0);
    for (const one of [nothing, Buffer.from('Salted__'), Buffer.from('age-encryption.org/v2\n'), NOISE]) {
      assert.equal(await assertDamaged(one, nothing), 'not an age v1 file');
    }
  });
});

/** The rules of the format, in files whose MAC and payload are valid: each breaks only the rule in question. */
suite('the header of an age file', () => {
  const fileKey = randomBytes(16);
  const nonce = randomBytes(16);
  const content = Buffer.from('content');
  const [, arguments_ = '', body = ''] = headerFor(RECIPIENT, fileKey).toString().split('\n');
  const share = arguments_.slice('-> X25519 '.length);
  const own = [arguments_, body];
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

  function chunk(index: number, last: boolean, bytes: Buffer): Buffer {
    const counter = Buffer.alloc(12);
    counter.writeUInt8(index, 10);
    counter.writeUInt8(last ? 1 : 0, 11);
    return Buffer.concat(seal(derive(fileKey, nonce, 'payload'), counter, bytes));
  }

  function headerOf(lines: readonly string[], endOfLine = '\n'): string {
    const text = ['age-encryption.org/v1', ...lines, '---'].join(endOfLine);
    const macKey = Buffer.from(hkdfSync('sha256', fileKey, '', 'header', 32));
    return `${text} ${base64(createHmac('sha256', macKey).update(text, 'latin1').digest())}${endOfLine}`;
  }

  function fileOf(header: string, ...chunks: Buffer[]): Buffer {
    const payload = chunks.length > 0 ? chunks : [chunk(0, true, content)];
    return Buffer.concat([Buffer.from(header, 'latin1'), nonce, ...payload]);
  }

  const accepted = async (lines: readonly string[]) =>
    assert.ok((await decrypt(fileOf(headerOf(lines)))).equals(content));

  const refused = async (header: string) =>
    assert.equal(await assertDamaged(fileOf(header), content), 'the header breaks the rules of its format');

  test('may have unknown stanzas, which are skipped', async () => {
    await accepted(own);
    await accepted(['-> other with ~arguments! 1', 'AAAA', ...own]);
    await accepted([...own, '-> X25519-but-not-quite', '']);
    await accepted(['-> long', 'A'.repeat(64), 'A'.repeat(64), '', ...own]);
    await accepted(['-> for-somebody-else', 'A'.repeat(64), 'AA', ...own, '-> last', '']);
  });

  test('may have X25519 stanzas for other recipients', async () => {
    const [, another = '', anotherBody = ''] = headerFor(recipientOf(randomBytes(32)), fileKey)
      .toString()
      .split('\n');
    await accepted([another, anotherBody, ...own]);
    await accepted([...own, another, anotherBody]);
  });

  for (const [what, lines] of Object.entries<readonly string[]>({
    'without a stanza': [],
    'with a stanza of X25519 that has no share': ['-> X25519', body],
    'with a stanza of X25519 that has a third argument': [`${arguments_} more`, body],
    'with a share that is too short': [`-> X25519 ${base64(NOISE.subarray(0, 31))}`, body],
    'with a share that is too long': [`-> X25519 ${base64(NOISE.subarray(0, 33))}`, body],
    'with a share that is padded': [`${arguments_}=`, body],
    'with a share that is not canonical': [`-> X25519 ${'A'.repeat(42)}B`, body],
    'with a share in the other base64': [`-> X25519 ${'_'.repeat(42)}8`, body],
    'with a body that is too short': [arguments_, base64(NOISE.subarray(0, 31))],
    'with a body that is too long': [arguments_, base64(NOISE.subarray(0, 33))],
    'with a body that is padded': [arguments_, `${body}=`],
    'with a body that is not canonical': [arguments_, `${'A'.repeat(42)}B`],
    'with a body that is wrapped elsewhere': [arguments_, body.slice(0, 20), body.slice(20)],
    'with a body line that is too long': ['-> other', 'A'.repeat(68), ...own],
    'with a body that does not end in a short line': [...own, '-> other', 'A'.repeat(64)],
    'with a stanza without a body': ['-> other', ...own],
    'with a broken stanza after one that opens': [...own, '-> X25519 AAAA', body],
    'with an argument that is empty': ['-> other  two', '', ...own],
    'with a space behind the arguments': ['-> other ', '', ...own],
    'with a stanza without arguments': ['->', '', ...own],
    'with a stanza that begins otherwise': ['>> other', '', ...own],
    'with a text before the arrow of a stanza': ['x-> other', '', ...own],
    'with a tab between arguments': ['-> other\ttwo', '', ...own],
    'with a letter beyond ASCII': ['-> öther', '', ...own],
    'with a stanza of scrypt beside another': [...own, `-> scrypt ${'A'.repeat(22)} 1`, body],
    'with an empty line': [...own, ''],
  })) {
    test(`is refused ${what}`, async () => {
      await refused(headerOf(lines));
    });
  }

  test('is refused if its MAC has another encoding', async () => {
    const header = headerOf(own);
    await refused(header.replace(/\n$/, '=\n'));
    await refused(header.replace(/\n$/, ' \n'));
    await refused(header.replace('--- ', '---'));
    await refused(header.replace('--- ', '---  '));
    await refused(header.replace(/--- .*/, '--- AAAA'));
    await refused(header.replace(/--- .*/, '---'));
  });

  test('is refused if its MAC is wrong', async () => {
    const header = headerOf(own).replace(/--- .*/, `--- ${'A'.repeat(43)}`);
    assert.equal(await assertDamaged(fileOf(header), content), 'the header is changed');
  });

  test('is refused if its line ends are those of another system', async () => {
    assert.equal(await assertDamaged(fileOf(headerOf(own, '\r\n')), content), 'not an age v1 file');
    await refused(headerOf(own).replace(/\n$/, '\r\n'));
  });

  for (const point of [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ]) {
    test(`is refused if its share is ${point}, which yields no secret`, async () => {
      const lines = [`-> X25519 ${base64(Buffer.from(point, 'hex'))}`, body];
      assert.match(await assertDamaged(fileOf(headerOf(lines)), content), /low order/);
      assert.match(await assertDamaged(fileOf(headerOf([...own, ...lines])), content), /low order/);
      const { error } = await pass(decryptor(IDENTITY), [fileOf(headerOf(lines))]);
      assert.ok(error instanceof DamagedError && error.cause instanceof Error, 'the cause is missing');
    });
  }

  test('is refused if its share belongs to another recipient', async () => {
    const another = base64(rawPublicKey(generateKeyPairSync('x25519').publicKey));
    assert.notEqual(another, share);
    const lines = [`-> X25519 ${another}`, body];
    assert.match(await assertDamaged(fileOf(headerOf(lines)), content), /another token/);
  });

  test('may have a single stanza of scrypt, which this key does not open', async () => {
    const lines = [`-> scrypt ${'A'.repeat(22)} 1`, body];
    assert.match(await assertDamaged(fileOf(headerOf(lines)), content), /another token/);
  });

  function headerOfLength(length: number): string {
    const rest = headerOf(['-> ', '', ...own]).length;
    return headerOf([`-> ${'x'.repeat(length - rest)}`, '', ...own]);
  }

  test('may have 64 KiB and no more', async () => {
    assert.equal(LONGEST_HEADER, 65_536);
    assert.ok((await decrypt(fileOf(headerOfLength(LONGEST_HEADER)))).equals(content));
    const single = singly(fileOf(headerOfLength(LONGEST_HEADER)));
    assert.ok((await through(decryptor(IDENTITY), single)).equals(content));
    for (const length of [LONGEST_HEADER + 1, LONGEST_HEADER + 16, LONGEST_HEADER + 17, 2 * LONGEST_HEADER]) {
      const file = fileOf(headerOfLength(length));
      assert.equal(await assertDamaged(file, content), 'the header is longer than 65536 bytes');
    }
  });

  test('does not make the reader wait without end', async () => {
    const stream = decryptor(IDENTITY);
    function* endless() {
      yield Buffer.from('age-encryption.org/v1\n');
      for (;;) yield Buffer.from('-> another stanza\n\n');
    }
    const { error } = await pass(stream, endless());
    assert.ok(error instanceof DamagedError);
    assert.equal(error.message, 'the header is longer than 65536 bytes');
  });

  test('is refused at once if it is too long, whatever follows it', async () => {
    let pieces = 0;
    function* file() {
      yield Buffer.from(headerOfLength(LONGEST_HEADER + 1));
      for (; pieces < 100; pieces++) yield NOISE;
    }
    const { error } = await pass(decryptor(IDENTITY), file());
    assert.ok(error instanceof DamagedError);
    assert.ok(pieces < 100, 'the file was read to its end');
  });

  test('is too long only if more than 64 KiB arrive; before that, the file is cut off', async () => {
    const header = Buffer.from(headerOfLength(LONGEST_HEADER + 1));
    const [start, rest] = [header.subarray(0, LONGEST_HEADER), header.subarray(LONGEST_HEADER)];
    assert.equal(await assertDamaged(start, content), 'the file is cut off before its payload');
    const { error } = await pass(decryptor(IDENTITY), [start, rest]);
    assert.match(String(error), /the header is longer than 65536 bytes/);
  });

  test('may be followed by an empty last chunk only if there is no other chunk', async () => {
    const header = headerOf(own);
    const empty = Buffer.alloc(0);
    const full = NOISE.subarray(0, CHUNK);
    assert.equal((await decrypt(fileOf(header, chunk(0, true, empty)))).length, 0);
    assert.ok((await decrypt(fileOf(header, chunk(0, true, full)))).equals(full));
    const file = fileOf(header, chunk(0, false, full), chunk(1, true, empty));
    assert.equal(await assertDamaged(file, full), 'the last chunk is empty');
  });

  test('may not be followed by a short chunk that is not the last one', async () => {
    const header = headerOf(own);
    await assertDamaged(fileOf(header, chunk(0, false, content)), content);
    await assertDamaged(fileOf(header, chunk(0, false, content), chunk(1, true, content)), content);
  });
});
