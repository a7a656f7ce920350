/** The command line that makes the exit code available, and the output with its marks. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { InputLines, quote, shellCommand } from '../../src/session/command-line.ts';
import { MarkedOutput } from '../../src/session/marked-output.ts';
import { splitWords } from '../support/session-agent.ts';

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

/** Cuts bytes at arbitrary places. */
function* cut(whole: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let i = 0; at < whole.length; i++) {
    const length = Math.max(1, lengths[i % lengths.length] ?? 1);
    yield whole.subarray(at, at + length);
    at += length;
  }
}

test('output between the marks is returned unchanged, however it is split, with the exit code after it', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
  fc.assert(
    fc.property(bytes, bytes, fc.nat({ max: 255 }), lengths, (before, output, code, sizes) => {
      const command = shellCommand({ words: ['true'], hasTerminal: false, hasInput: false });
      const whole = Buffer.concat([
        before,
        Buffer.from(command.startMark),
        output,
        Buffer.from(`${command.endMark}${code}\x1e`),
        Buffer.from('after'),
      ]);
      const marks = new MarkedOutput(command);
      const got = Buffer.concat([...cut(whole, sizes)].map((chunk) => marks.push(chunk)));
      assert.deepEqual(Buffer.concat([got, marks.flush()]), Buffer.concat([before, output]));
      assert.equal(marks.exitCode, code);
    }),
  );
});

test('output without marks is returned complete', () => {
  const command = shellCommand({ words: ['true'], hasTerminal: false, hasInput: false });
  const marks = new MarkedOutput(command);
  const text = `Unable to start${command.startMark.slice(0, 9)}`;
  assert.equal(marks.push(Buffer.from(text)).toString() + marks.flush().toString(), text);
  assert.equal(marks.exitCode, undefined);
});

test('arguments of any characters reach the program unchanged, through the agent and the shell', () => {
  const word = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/\0/.test(text));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const program = ['printf', '%s\\n', ...words];
      const { text } = shellCommand({ words: program, hasTerminal: false, hasInput: false });
      const [file = '', ...rest] = splitWords(text);
      const output = execFileSync(file, rest, { encoding: 'utf8' });
      assert.equal(output.split('\x1e')[2], words.map((one) => `${one}\n`).join(''));
    }),
    { numRuns: 30 },
  );
  assert.equal(quote("it's"), `'it'\\''s'`);
});

test('input of any bytes is sent as base64 lines that the agent accepts, followed by an end of file', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 3_000 }));
  fc.assert(
    fc.property(chunks, (input) => {
      const lines = new InputLines();
      const sent = [...input.flatMap((chunk) => [...lines.lines(chunk)]), ...lines.flush()];
      assert.deepEqual([...(sent.pop() ?? [])], [4]);
      assert.ok(sent.every((line) => line.length <= 1_001 && line.at(-1) === 10));
      assert.deepEqual(Buffer.from(Buffer.concat(sent).toString(), 'base64'), Buffer.concat(input));
    }),
  );
});
