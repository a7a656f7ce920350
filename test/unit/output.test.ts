import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { outputOf } from '../../src/operator/output.ts';

const HOSTILE = 'a\tb\r\n\u001b]52;c;cm0gLXJmIC8=\u0007\u009b31m\u007fü\r\u0000\n';

async function printed(isTTY: boolean): Promise<string> {
  const stream = Object.assign(new PassThrough(), { isTTY });
  await outputOf(stream as unknown as NodeJS.WriteStream).write(HOSTILE);
  return await text(stream.end());
}

test("a container's output cannot control a terminal, and is unchanged everywhere else", async () => {
  assert.equal(await printed(true), 'a\tb\n␛]52;c;cm0gLXJmIC8=␇\ufffd31m␡ü␍␀\n');
  assert.equal(await printed(false), HOSTILE);
});

test('an output that accepts nothing more is reported only to its writer', async () => {
  const stream = new PassThrough();
  const output = outputOf(stream as unknown as NodeJS.WriteStream);
  stream.destroy();
  await assert.rejects(output.write('x'), { code: 'ERR_STREAM_DESTROYED' });
});
