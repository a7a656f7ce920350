import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Framing, MalformedMessage } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { cutsOf, scan, sourceOf } from '../support/docker-proxy-pieces.ts';

/** The bytes after a body on its connection. */
const NEXT = 'GET /next HTTP/1.1\r\n\r\n';

/** [name, framing, body on the wire, its data] */
const BODIES: [string, Framing, string, string][] = [
  ['none', 'none', '', ''],
  ['a length of 0', { length: 0 }, '', ''],
  ['a length', { length: 12 }, 'line\r\n0\r\n\r\nx', 'line\r\n0\r\n\r\nx'],
  ['no chunks', 'chunked', '0\r\n\r\n', ''],
  ['one chunk', 'chunked', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['chunks', 'chunked', '1\r\na\r\n2\r\n\r\n\r\n3\r\n0\r\n\r\n0\r\n\r\n', 'a\r\n0\r\n'],
  ['digits in small letters', 'chunked', `1a\r\n${'x'.repeat(26)}\r\n00\r\n\r\n`, 'x'.repeat(26)],
  ['digits in capitals', 'chunked', `1A\r\n${'x'.repeat(26)}\r\n0\r\n\r\n`, 'x'.repeat(26)],
  ['zeros before the size', 'chunked', '00000000005\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['extensions', 'chunked', '5;a=b;c="d;e"\r\nhello\r\n0;last\r\n\r\n', 'hello'],
  ['blanks after the size', 'chunked', '5 \t\r\nhello\r\n0 ;x\r\n\r\n', 'hello'],
  ['trailers', 'chunked', '5\r\nhello\r\n0\r\nA: b\r\nDigest: 5\r\n\r\n', 'hello'],
];

suite('a body that arrives in pieces', () => {
  for (const [name, framing, body, data] of BODIES) {
    test(`of ${name} is the same however it is split`, async () => {
      for (const pieces of cutsOf(body + NEXT)) {
        const found = scan(framing, pieces);
        assert.deepEqual(found, { data, length: body.length, isDone: true }, JSON.stringify(pieces));

        const source = sourceOf(pieces);
        const passed = await Array.fromAsync(source.body(framing));
        assert.equal(Buffer.concat(passed).toString('latin1'), body);
        assert.ok(passed.every((piece) => piece.length > 0));
        assert.equal(String(await source.head()), NEXT);
      }
    });

    if (body === '') continue;
    test(`of ${name} that is truncated is refused`, async () => {
      for (let at = 0; at < body.length; at += 1) {
        const cut = Array.fromAsync(sourceOf([body.slice(0, at)]).body(framing));
        await assert.rejects(cut, MalformedMessage, `cut at ${at}`);
      }
    });
  }

  test('without a length continues until the end of the connection', async () => {
    const body = '0\r\n\r\nGET / HTTP/1.1\r\n\r\n';
    for (const pieces of cutsOf(body)) {
      assert.deepEqual(scan('until close', pieces), { data: body, length: body.length, isDone: false });
    }
    const passed = await Array.fromAsync(sourceOf([body, body]).body('until close'));
    assert.equal(Buffer.concat(passed).toString('latin1'), body + body);
  });

  test('with ambiguous chunks is refused, however it is split', () => {
    for (const body of [
      '\r\nhello',
      ' 5\r\nhello\r\n',
      '+5\r\nhello\r\n',
      '-5\r\nhello\r\n',
      '0x5\r\nhello\r\n',
      '5,\r\nhello\r\n',
      '5 5\r\nhello\r\n',
      'g\r\nhello\r\n',
      ';a\r\nhello\r\n',
      '5\nhello\r\n',
      '5\rhello\r\n',
      '5\r\rhello\r\n',
      '5;a\rb\r\nhello\r\n',
      '5;a\nb\r\nhello\r\n',
      '5\r\nhello!\r\n',
      '5\r\nhello0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n',
      '5\r\nhello\r\r\n0\r\n\r\n',
      '5\r\nhello\r\n0\r\n\n',
      '5\r\nhello\r\n0\r\nA: b\n\r\n',
      '1000000000000\r\nhello\r\n',
    ]) {
      for (const pieces of cutsOf(body)) {
        assert.throws(() => scan('chunked', pieces), MalformedMessage, JSON.stringify(pieces));
      }
    }
  });

  test('with an endless line between chunks is refused before it has arrived', () => {
    for (const beginning of ['5;', '5\r\nhello', '0\r\nX: ']) {
      const endless = 'x'.repeat(4097);
      assert.throws(() => scan('chunked', [beginning + endless]), MalformedMessage);
      assert.throws(() => scan('chunked', [beginning, ...endless.split('')]), MalformedMessage);
    }
    assert.equal(scan('chunked', [`5;${'x'.repeat(4000)}\r\nhello\r\n0\r\n\r\n`]).data, 'hello');
  });
});
