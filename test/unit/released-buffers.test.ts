/** Memory that is released immediately. */

import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { get as getOverTls, Agent as TlsAgent } from 'node:https';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { makeCertificate } from '../../httpserver/self-signed-certificate.ts';
import { release, releasing, releasingReads } from '../../lifetime/released-buffers.ts';
import { Recorder } from '../support/recorder.ts';

test('a used-up buffer is empty, unless others share its memory', () => {
  const own = Buffer.alloc(100_000, 'a');
  release(own);
  assert.equal(own.length, 0);
  const part = Buffer.alloc(100_000, 'a').subarray(1);
  release(part);
  assert.equal(part.length, 99_999);
  const small = Buffer.from('of a pool');
  release(small);
  assert.equal(String(small), 'of a pool');
});

test('a piece that is passed on arrives before its buffer is released', async () => {
  const arrived: string[] = [];
  const target = new Writable({
    write: (bytes: Buffer, _encoding, done) =>
      void setImmediate(() => done(void arrived.push(String(bytes)))),
  });
  const pieces = ['a', 'b', 'c'].map((letter) => Buffer.alloc(10, letter));
  await pipeline(
    pieces.map((piece) => Buffer.from(piece)),
    releasing(target),
  );
  assert.deepEqual(arrived, pieces.map(String));
  assert.ok(target.writableFinished);
});

test('passing on fails when its destination fails, even if no data arrives', async () => {
  const target = new Writable({ write: (_bytes, _encoding, done) => done() });
  const stream = releasing(target);
  target.destroy(new Error('it ended'));
  await assert.rejects(finished(stream), /it ended/);
  const left = new Writable();
  const other = releasing(left);
  left.destroy();
  await assert.rejects(finished(other), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
});

for (const tls of [undefined, await makeCertificate(['127.0.0.1'], new Date(Date.now() + 86_400_000))]) {
  test(`a download arrives completely and leaves no read buffer, with ${tls ? 'TLS' : 'HTTP'}`, async (t) => {
    const body = 'what is downloaded '.repeat(100_000);
    const server = await Recorder.open({ reply: () => ({ status: 200, body }), ...(tls && { tls }) });
    t.after(() => server.close());
    const agent = releasingReads(
      tls ? new TlsAgent({ keepAlive: true, rejectUnauthorized: false }) : new Agent({ keepAlive: true }),
    );
    t.after(() => agent.destroy());
    const read: Buffer[] = [];
    const download = async () => {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      (tls ? getOverTls : get)(server.url, { agent }, resolve)
        .on('error', reject)
        .once('socket', (socket) => socket.on('data', (bytes) => read.push(bytes)));
      return await text(await promise);
    };
    assert.equal(await download(), body);
    assert.equal(await download(), body);
    assert.equal(server.connections, 1);
    assert.ok(read.length > 1);
    assert.ok(read.every(({ length }) => length === 0));
  });
}
