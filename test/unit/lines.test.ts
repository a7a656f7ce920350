/** External bytes become lines, however they are split, and no line exceeds its limit. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter, linesIn } from '../../parsing/lines.ts';
import fc from '../support/properties.ts';

const MOST = 8;

/** Splits a text into pieces that share the same memory one after the other, as in a reader with one buffer. */
function* piecesOf(text: string, size: number): Generator<Uint8Array> {
  const memory = Buffer.alloc(size);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size)
    yield memory.subarray(0, bytes.copy(memory, 0, at, at + size));
}

test('the lines of a stream do not depend on how it is split, or on the later use of its buffers', () => {
  const line = fc.stringMatching(/^[a-c ]{0,12}$/);
  fc.assert(
    fc.property(fc.array(line), line, fc.integer({ min: 1, max: 20 }), (lines, last, size) => {
      const text = [...lines, last].join('\n');
      for (const cuts of [false, true]) {
        const splitter = new LineSplitter({ most: MOST, cuts });
        const found: string[] = [];
        for (const piece of piecesOf(text, size)) found.push(...splitter.push(piece));
        const kept = (one: string) => (one.length <= MOST ? [one] : cuts ? [`${one.slice(0, MOST)}…`] : []);
        assert.deepEqual(found, lines.flatMap(kept));
        assert.deepEqual(splitter.end(), kept(last));
      }
    }),
  );
});

test('an unfinished last line is omitted', async () => {
  async function* stream() {
    yield Buffer.from('one\ntw');
    yield Buffer.from('o\nthr');
  }
  assert.deepEqual(await Array.fromAsync(linesIn(stream(), MOST)), [['one'], ['two']]);
});
