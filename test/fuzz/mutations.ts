/** Bytes that are almost well-formed: the output of a grammar with a few changes. */

import fc from 'fast-check';

/** Bytes that parsers treat specially. */
const WORDS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ',',
  ':',
  ';',
  '-',
  '=',
  '%',
  '%2e%2e',
  '../',
  '<',
  '&',
  '0',
  '-1',
  '1e999',
  '18446744073709551616',
  'ffffffffffffffff',
  'null',
  '__proto__',
  '\u{1F600}',
  '\ud800',
];

const word = fc.oneof(
  fc.constantFrom(...WORDS).map((text) => Buffer.from(text)),
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
);

/** A change at a place between 0 and 1. */
const change = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove', 'repeat', 'cut'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 2000 })),
  word,
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Buffer, { kind, at, length, word: put }: Change): Buffer {
  const place = Math.floor(at * bytes.length);
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  const part = after.subarray(0, length);
  if (kind === 'replace') return Buffer.concat([before, put, after.subarray(put.length)]);
  if (kind === 'insert') return Buffer.concat([before, put, after]);
  if (kind === 'remove') return Buffer.concat([before, after.subarray(length)]);
  if (kind === 'repeat') return Buffer.concat([before, part, after]);
  return before;
}

/** Half of them are not changed, so that inputs also reach the code behind a parser. */
export function mutated(grammar: fc.Arbitrary<string | Buffer>): fc.Arbitrary<Buffer> {
  const changes = fc.oneof(fc.constant([]), fc.array(change, { minLength: 1, maxLength: 4 }));
  return fc.tuple(grammar, changes).map(([made, list]) => list.reduce(apply, Buffer.from(made as Buffer)));
}

/** JSON objects with the given fields. Most fields have the given value; the others have a value of any type. */
export function jsonWith(fields: Readonly<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const text = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom(...WORDS, 'x'.repeat(5000)));
  const any = fc.oneof(
    fc.constantFrom(null, true, false, 0, -1, 1.5, 65_535, 65_536, 2 ** 53),
    text,
    fc.array(text, { maxLength: 3 }),
    fc.dictionary(text, text, { maxKeys: 3 }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const known = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, any),
    ]),
  );
  const unknown = fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    fc.dictionary(text, any, { maxKeys: 3 }),
  );
  return fc
    .tuple(fc.record(known, { requiredKeys: [] }), fc.record(known), fc.boolean(), unknown)
    .map(([some, all, isWhole, more]) => ({ ...(isWhole ? all : some), ...more }));
}
