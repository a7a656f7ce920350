/** A user's stored archives: the surrounding age file, the predecessor's format, and the archive itself. */

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { chown, mkdir, mkdtempDisposable, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { decryptor, encrypt } from '../../../user-configs/age.ts';
import { recipientOf } from '../../../user-configs/config-key.ts';
import { unpack } from '../../../user-configs/confined-tar.ts';
import { DamagedError } from '../../../user-configs/damaged.ts';
import { oldFormatDecryptor } from '../../../user-configs/old-format.ts';
import { cutAt, pass } from '../../support/through.ts';
import { mutated } from '../mutations.ts';
import type { Target } from '../target.ts';

const IDENTITY = randomBytes(32);
const CONTENT = randomBytes(70_000);
const USER = 1000;
/** The limit of an archive in bytes. */
const LIMIT = 2 ** 20;
/** The number of inputs that are unpacked. It is small, because each needs a separate process. */
const UNPACKED = 500;

interface Input {
  readonly kind: 'age' | 'old' | 'tree';
  readonly bytes: Buffer;
  readonly cuts: readonly number[];
}

const ageFile = fc
  .constantFrom(0, 1, 500, 65_535, 65_536, 65_537)
  .map((size) => Buffer.concat([...encrypt(recipientOf(IDENTITY), [CONTENT.subarray(0, size)])]));
const oldFile = fc.integer({ min: 0, max: 400 }).map((size) => {
  const salted = Buffer.concat([Buffer.from('Salted__'), CONTENT.subarray(0, 8 + 16 * Math.ceil(size / 16))]);
  return salted;
});

/** A header of a tar archive. Source: POSIX.1-2017, pax, "ustar Interchange Format". */
function member(name: string, type: string, link: string, content: string): Buffer {
  const head = Buffer.alloc(512);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, '0');
  head.write(name.slice(0, 100), 0);
  head.write('0000644\0', 100);
  head.write(`${octal(USER, 8)}\0${octal(USER, 8)}\0`, 108);
  head.write(`${octal(content.length, 12)}\0${octal(0, 12)}\0        ${type}`, 124);
  head.write(link.slice(0, 100), 157);
  head.write('ustar\x0000', 257);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${octal(sum, 7)}\0 `, 148);
  return Buffer.concat([head, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

const tree = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'tree',
        'tree/',
        'tree/a',
        'tree/a/b',
        '../up',
        '/etc/x',
        'tree/../..',
        `tree/${'n'.repeat(90)}`,
      ),
      fc.constantFrom('0', '1', '2', '3', '4', '5', '6', 'x', 'g', 'L', 'S'),
      fc.constantFrom('', 'a', '..', '/etc/passwd', 'tree/a'),
      fc.string({ maxLength: 30 }),
    ),
    { maxLength: 5 },
  )
  .map((members) => Buffer.concat([...members.map((one) => member(...one)), Buffer.alloc(1024)]));

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 });
const of = (kind: Input['kind'], bytes: fc.Arbitrary<Buffer>) =>
  fc.record({ kind: fc.constant(kind), bytes: mutated(bytes), cuts });

export const target: Target<Input> = {
  share: 250,
  parsers: [
    'user-configs/age.ts',
    'user-configs/age-header.ts',
    'user-configs/age-cipher.ts',
    'user-configs/pieces.ts',
    'user-configs/old-format.ts',
    'user-configs/confined-tar.ts',
  ],
  inputs: fc.oneof(
    { weight: UNPACKED, arbitrary: of('age', ageFile) },
    { weight: UNPACKED, arbitrary: of('old', oldFile) },
    { weight: 1, arbitrary: of('tree', tree) },
  ),
  async open() {
    const place = await mkdtempDisposable(join(tmpdir(), 'fuzz-'));
    const view = join(place.path, 'view');
    mkdirSync(view);
    const unpackInto = async (bytes: Buffer) => {
      const staging = join(place.path, 'staging');
      await mkdir(staging);
      await chown(staging, USER, USER);
      try {
        const where = { tree: staging, view, limit: LIMIT };
        await unpack(where, 'all', Readable.from([bytes]), new AbortController().signal);
      } finally {
        await rm(staging, { recursive: true });
      }
    };
    const read = async ({ kind, bytes, cuts: places }: Input) => {
      if (kind === 'tree') return await unpackInto(bytes);
      const stream = kind === 'age' ? decryptor(IDENTITY) : oldFormatDecryptor('token');
      const { error, released } = await pass(stream, cutAt(bytes, places));
      if (error) throw error;
      if (kind === 'age' && !CONTENT.subarray(0, released.length).equals(released))
        throw new Error('it gave what nobody encrypted');
    };
    return {
      async take(input) {
        await read(input).catch((error: unknown) => {
          if (!(error instanceof DamagedError)) throw error;
        });
      },
      async check() {
        const bytes = Buffer.concat([...encrypt(recipientOf(IDENTITY), [CONTENT])]);
        await read({ kind: 'age', bytes, cuts: [] });
      },
      [Symbol.asyncDispose]: () => place.remove(),
    };
  },
};
