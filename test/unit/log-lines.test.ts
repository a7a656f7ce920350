/** Docker's log stream, however it is split, and whatever a container wrote into it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogLine, linesOf } from '../../docker-engine/log-lines.ts';
import { Chance } from '../support/chance.ts';

const AT = '2026-11-22T12:29:46.928768792Z';
const LATER = '2026-11-22T12:29:46.928768793Z';
/** The length at which Docker splits a line. */
const PIECE = 16 * 1024;

const bytes = (...parts: readonly (string | Buffer)[]) => Buffer.concat(parts.map((one) => Buffer.from(one)));

/** A frame of stdout (1), stderr (2), or Docker itself (3). */
function frame(kind: number, ...parts: readonly (string | Buffer)[]): Buffer {
  const content = bytes(...parts);
  const head = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(content.length, 4);
  return bytes(head, content);
}

/** Two pieces in which Docker split a character, and lines of all kinds. */
const SPLIT = bytes('x', 'é'.repeat(80), '\n');
const FRAMES = bytes(
  frame(1, `${AT} one\n`),
  frame(2, `${AT} `, Buffer.from('\u0000a\xff\u009bz\n', 'latin1')),
  frame(1, `${LATER} `, SPLIT.subarray(0, 102)),
  frame(2, `${AT} \n`),
  frame(1, `${LATER} `, SPLIT.subarray(102)),
  frame(1),
  frame(0, `${LATER} of two\nlines\n`),
  frame(1, `${LATER} last`),
);
const OF_FRAMES: readonly LogLine[] = [
  { at: AT, stream: 'stdout', text: 'one' },
  { at: AT, stream: 'stderr', text: '\u0000a\ufffd\ufffdz' },
  { at: LATER, stream: 'stdout', text: `x${'é'.repeat(50)}`, partial: true },
  { at: AT, stream: 'stderr', text: '' },
  { at: LATER, stream: 'stdout', text: 'é'.repeat(30) },
  { at: LATER, stream: 'stdout', text: 'of two\nlines' },
  { at: LATER, stream: 'stdout', text: 'last', partial: true },
];

const FULL = 'x'.repeat(PIECE);
const TERMINAL = bytes(
  `${AT} one\r\n${AT} \r\n${AT} ${LATER} no time\r\n`,
  Buffer.from(`${AT} a\u0000\xffz\n`, 'latin1'),
  `${LATER} ${FULL}${LATER} ${FULL}${LATER} \r\n`,
  `${LATER} ${FULL}on without a time\r\n`,
  `${LATER} $ `,
);
const OF_TERMINAL: readonly LogLine[] = [
  { at: AT, stream: 'stdout', text: 'one' },
  { at: AT, stream: 'stdout', text: '' },
  { at: AT, stream: 'stdout', text: `${LATER} no time` },
  { at: AT, stream: 'stdout', text: 'a\u0000\ufffdz' },
  { at: LATER, stream: 'stdout', text: FULL, partial: true },
  { at: LATER, stream: 'stdout', text: FULL, partial: true },
  { at: LATER, stream: 'stdout', text: '' },
  { at: LATER, stream: 'stdout', text: FULL, partial: true },
  { at: LATER, stream: 'stdout', text: 'on without a time' },
  { at: LATER, stream: 'stdout', text: '$ ', partial: true },
];

async function* from(...chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** The expected result for the whole, split once at each place, and into single bytes. */
async function assertAnyPieces(
  whole: Buffer,
  expected: readonly LogLine[],
  isTerminal: boolean,
): Promise<void> {
  const read = (...chunks: readonly Buffer[]) => Array.fromAsync(linesOf(from(...chunks), isTerminal));
  assert.deepEqual(await read(whole), expected);
  assert.deepEqual(await read(...Array.from(whole, (one) => Buffer.from([one]))), expected);
  for (let at = 1; at < whole.length; at++) {
    // All places where something starts or ends, and some in between.
    if (at % 97 && whole.subarray(at - 40, at + 40).every((one, i, near) => i === 0 || one === near[i - 1]))
      continue;
    assert.deepEqual(await read(whole.subarray(0, at), whole.subarray(at)), expected, `cut at ${at}`);
  }
}

test('frames of a log are reassembled wherever they were split', async () => {
  await assertAnyPieces(FRAMES, OF_FRAMES, false);
});

test('the log of a terminal is the same wherever it was split, also in lines longer than Docker keeps whole', async () => {
  await assertAnyPieces(TERMINAL, OF_TERMINAL, true);
});

for (const [what, isTerminal] of [
  ['frame', false],
  ['terminal', true],
] as const) {
  test(`an endless line in a ${what} arrives in pieces, and no more is read than they need`, async () => {
    let sent = 0;
    let closed = false;
    const chunk = Buffer.alloc(64 * 1024, 'x');
    async function* endless() {
      try {
        const start = frame(1, `${AT} `);
        start.writeUInt32BE(0xffff_ffff, 4);
        yield isTerminal ? start.subarray(8) : start;
        for (; ; sent += chunk.length) yield chunk;
      } finally {
        closed = true;
      }
    }
    let read = 0;
    for await (const { text, partial } of linesOf(endless(), isTerminal)) {
      assert.ok(partial && text.length <= PIECE);
      read += text.length;
      assert.ok(sent - read <= chunk.length, `${sent - read} bytes wait`);
      if (read > 1_000_000) break;
    }
    assert.ok(closed, 'its source is closed');
  });
}

test('a message of Docker in place of a log is an error, and so is an invalid log', async () => {
  const lines = linesOf(from(frame(1, `${AT} one\n`), frame(3, 'Error grabbing logs: broken\n')), false);
  assert.equal((await lines.next()).value?.text, 'one');
  await assert.rejects(
    lines.next(),
    /Docker could not read the log of the container: Error grabbing logs: broken$/,
  );
  await assert.rejects(Array.fromAsync(linesOf(from(Buffer.from('HTTP/1.1 200 OK')), false)), {
    code: 'docker.failed',
  });
});

test('arbitrary bytes yield pieces or that error', async () => {
  const chance = new Chance(7);
  const below = (limit: number) => chance.below(limit);
  for (let round = 0; round < 500; round++) {
    const chunks = Array.from({ length: below(5) }, () => {
      const noise = Buffer.from(Array.from({ length: below(100) }, () => below(256)));
      return below(2) ? noise : frame(1 + below(2), `${AT} `, noise);
    });
    try {
      for await (const line of linesOf(from(...chunks), below(2) === 1)) assert.ok(line.text.length <= PIECE);
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'docker.failed');
    }
  }
});
