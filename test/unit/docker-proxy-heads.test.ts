import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { suite, test } from 'node:test';
import {
  type Framing,
  MalformedMessage,
  parseRequest,
  parseResponse,
} from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { sourceOf, sourceOn } from '../support/docker-proxy-pieces.ts';

function request(...lines: string[]) {
  return parseRequest(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
}

function framingOf(status: string, fields: string[] = [], method = 'GET'): Framing {
  return parseResponse(Buffer.from([status, ...fields, '', ''].join('\r\n'), 'latin1'), method).framing;
}

function refuses(...lines: string[]): void {
  assert.throws(() => request(...lines), MalformedMessage, JSON.stringify(lines));
}

suite('the head of a request', () => {
  test('is parsed, and its bytes are kept', () => {
    const head = request(
      'POST /v1.44/containers/create?name=a%20b HTTP/1.1',
      'Host: docker',
      'X-One:\t two \t',
    );
    assert.equal(head.method, 'POST');
    assert.equal(head.target, '/v1.44/containers/create?name=a%20b');
    assert.deepEqual(head.fields.get('host'), ['docker']);
    assert.deepEqual(head.fields.get('x-one'), ['two']);
    assert.match(head.bytes.toString(), /\r\nX-One:\t two \t\r\n\r\n$/);
  });

  test('names the same call however its target is written', () => {
    for (const [written, target] of [
      ['/containers/%63reate', '/containers/create'],
      ['/v1%2E44%2fcontainers/%7e%2D_/start?a=%63', '/v1.44/containers/~-_/start?a=%63'],
      ['http://docker:80/v1.44/containers/create?name=a', '/v1.44/containers/create?name=a'],
      ['HTTPS://docker?a=/%63', '?a=/%63'],
      ['/containers/a%20b%3F%00%zz%', '/containers/a%20b%3F%00%zz%'],
      ['*', '*'],
    ] as const) {
      assert.equal(request(`POST ${written} HTTP/1.1`).target, target);
    }
  });

  test('is refused if its target has another scheme or is no path', () => {
    for (const target of [
      'x://h/containers/a/restart',
      'http:/containers/a/restart',
      'containers/a',
      '?a',
      'x:a',
    ]) {
      assert.throws(() => request(`POST ${target} HTTP/1.1`), MalformedMessage, target);
    }
  });

  test('has all values of a repeated field, whatever the case of its name', () => {
    assert.deepEqual(request('GET / HTTP/1.1', 'Via: a', 'VIA: b', 'via:').fields.get('via'), ['a', 'b', '']);
  });

  test('says how its body ends', () => {
    const cases: [string[], Framing][] = [
      [[], 'none'],
      [['Content-Length: 0'], { length: 0 }],
      [['content-length:  17 '], { length: 17 }],
      [['Content-Length: 123456789012345'], { length: 123456789012345 }],
      [['Transfer-Encoding: chunked'], 'chunked'],
      [['transfer-encoding: Chunked'], 'chunked'],
    ];
    for (const [fields, framing] of cases) {
      assert.deepEqual(request('PUT / HTTP/1.1', ...fields).framing, framing, fields.join());
    }
    assert.deepEqual(request('PUT / HTTP/1.0', 'Content-Length: 3').framing, { length: 3 });
  });

  test('is refused if the length of its body is ambiguous', () => {
    const doubtful = [
      ['Content-Length: 3', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Content-Length: 0'],
      ['Content-Length: 3', 'Content-Length: 4'],
      ['Content-Length: 3', 'content-length: 3'],
      ['Content-Length: 3, 3'],
      ['Content-Length: +3'],
      ['Content-Length: -3'],
      ['Content-Length: 0x3'],
      ['Content-Length: 3e1'],
      ['Content-Length: 3.0'],
      ['Content-Length: '],
      ['Content-Length: 1234567890123456'],
      ['Transfer-Encoding: gzip, chunked'],
      ['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked, identity'],
      ['Transfer-Encoding: identity'],
      ['Transfer-Encoding: xchunked'],
      ['Transfer-Encoding: '],
      ['Transfer-Encoding : chunked'],
      ['Transfer-Encoding:\vchunked'],
      ['Content-Length : 3'],
    ];
    for (const fields of doubtful) refuses('POST / HTTP/1.1', ...fields);
  });

  test('is refused if it is HTTP/1.0 and chunked, which Docker ignores', () => {
    refuses('POST / HTTP/1.0', 'Transfer-Encoding: chunked');
  });

  test('is refused if a line is not valid in HTTP/1.1', () => {
    for (const first of [
      '',
      'GET /',
      'GET  / HTTP/1.1',
      'GET / HTTP/1.1 ',
      ' GET / HTTP/1.1',
      'get / HTTP/1.1',
      'GET / HTTP/2.0',
      'GET / HTTP/1.2',
      'GET / http/1.1',
      'GET /a b HTTP/1.1',
      'GET / HTTP/1.1\nHost: docker',
      'GET / HTTP/1.1\rHost: docker',
      'HTTP/1.1 200 OK',
    ]) {
      refuses(first);
    }
    for (const field of [
      '',
      'no colon',
      ': no name',
      ' folded: line',
      '\tfolded',
      'a b: c',
      'A: b\nC: d',
      'A: b\rC: d',
    ]) {
      refuses('GET / HTTP/1.1', 'Host: docker', field, 'X: y');
    }
  });

  test('says whether another request can follow', () => {
    const cases: [string, string[], boolean][] = [
      ['1.1', [], false],
      ['1.1', ['Connection: keep-alive'], false],
      ['1.1', ['Connection: Upgrade'], false],
      ['1.1', ['X-Connection: close'], false],
      ['1.1', ['Connection: close'], true],
      ['1.1', ['connection: TE , Close'], true],
      ['1.1', ['Connection: keep-alive', 'Connection: close'], true],
      ['1.0', [], true],
      ['1.0', ['Connection: Keep-Alive'], false],
      ['1.0', ['Connection: close'], true],
    ];
    for (const [version, fields, isLast] of cases) {
      assert.equal(request(`GET / HTTP/${version}`, ...fields).isLast, isLast, `${version} ${fields.join()}`);
      const answer = [`HTTP/${version} 204 No Content`, ...fields, '', ''].join('\r\n');
      assert.equal(
        parseResponse(Buffer.from(answer), 'GET').isLast,
        isLast,
        `answer ${version} ${fields.join()}`,
      );
    }
  });
});

suite('the head of an answer', () => {
  test('is the last one if only the end of the connection ends its body', () => {
    assert.equal(parseResponse(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'GET').isLast, true);
    assert.equal(parseResponse(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'HEAD').isLast, false);
  });

  test('says how its body ends', () => {
    assert.deepEqual(framingOf('HTTP/1.1 200 OK', ['Content-Length: 5']), { length: 5 });
    assert.equal(framingOf('HTTP/1.1 200 OK', ['Transfer-Encoding: chunked']), 'chunked');
    assert.equal(framingOf('HTTP/1.1 200 OK'), 'until close');
    assert.equal(framingOf('HTTP/1.0 200 OK'), 'until close');
    assert.deepEqual(framingOf('HTTP/1.0 404 Not Found', ['Content-Length: 0']), { length: 0 });
  });

  test('has no body where HTTP allows none, whatever its fields say', () => {
    for (const fields of [[], ['Content-Length: 5'], ['Transfer-Encoding: chunked']]) {
      for (const status of [
        '100 Continue',
        '101 UPGRADED',
        '103 Early Hints',
        '204 No Content',
        '304 Not Modified',
      ]) {
        assert.equal(framingOf(`HTTP/1.1 ${status}`, fields), 'none', status);
      }
      assert.equal(framingOf('HTTP/1.1 200 OK', fields, 'HEAD'), 'none');
      assert.equal(framingOf('HTTP/1.1 404 Not Found', fields, 'HEAD'), 'none');
    }
  });

  test('needs no reason phrase', () => {
    assert.equal(parseResponse(Buffer.from('HTTP/1.1 200\r\n\r\n'), 'GET').status, 200);
    assert.equal(parseResponse(Buffer.from('HTTP/1.1 200 \r\n\r\n'), 'GET').status, 200);
    assert.equal(
      parseResponse(Buffer.from('HTTP/1.1 599 Ganz\xe4 anders\r\n\r\n', 'latin1'), 'GET').status,
      599,
    );
  });

  test('is refused if it is not valid in HTTP/1.1', () => {
    for (const first of [
      'HTTP/1.1 20 OK',
      'HTTP/1.1 2000',
      'HTTP/1.1  200 OK',
      'HTTP/2 200',
      'GET / HTTP/1.1',
      'HTTP/1.1 200 OK\nContent-Length: 5',
    ]) {
      assert.throws(() => framingOf(first), MalformedMessage, first);
    }
    const both = ['Content-Length: 3', 'Transfer-Encoding: chunked'];
    assert.throws(() => framingOf('HTTP/1.1 200 OK', both), MalformedMessage);
    assert.throws(
      () => framingOf('HTTP/1.1 200 OK', ['Content-Length: 3', 'Content-Length: 3']),
      MalformedMessage,
    );
    assert.throws(() => framingOf('HTTP/1.0 200 OK', ['Transfer-Encoding: chunked']), MalformedMessage);
  });
});

suite('a head that arrives in pieces', () => {
  const HEAD = 'GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n';

  test('is the same however it is split', async () => {
    for (let at = 0; at <= HEAD.length; at += 1) {
      const source = sourceOf([HEAD.slice(0, at), `${HEAD.slice(at)}${HEAD}`]);
      assert.equal(String(await source.head()), HEAD, `cut at ${at}`);
      assert.equal(String(await source.head()), HEAD, `cut at ${at}`);
      assert.equal(await source.head(), undefined);
    }
    const source = sourceOf((HEAD + HEAD).split(''));
    assert.equal(String(await source.head()), HEAD);
    assert.equal(String(await source.head()), HEAD);
  });

  test('is refused if it is truncated', async () => {
    for (let at = 1; at < HEAD.length; at += 1) {
      await assert.rejects(sourceOf([HEAD.slice(0, at)]).head(), MalformedMessage, `cut at ${at}`);
    }
  });

  test('does not end at bare line feeds', async () => {
    await assert.rejects(sourceOf(['GET / HTTP/1.1\nHost: docker\n\n']).head(), MalformedMessage);
    await assert.rejects(sourceOf(['GET / HTTP/1.1\r\nHost: docker\r\n\n']).head(), MalformedMessage);
  });

  test('of more than 64 KiB is refused before it has arrived completely', async () => {
    const field = `X: ${'x'.repeat(1024)}\r\n`;
    let given = 0;
    const socket = new Duplex({
      read() {
        given += field.length;
        this.push(field);
      },
      write: (_piece, _encoding, done) => done(),
    });
    await assert.rejects(sourceOn(socket).head(), MalformedMessage);
    assert.ok(given < 512 * 1024, `${given} bytes were read`);
    socket.destroy();
  });

  test('of 64 KiB is accepted, and of one byte more refused', async () => {
    const head = (length: number) => `GET / HTTP/1.1\r\nX: ${'x'.repeat(length - 23)}\r\n\r\n`;
    const long = head(64 * 1024);
    assert.equal(long.length, 64 * 1024);
    const pieces = Array.from({ length: 16 }, (_, i) => long.slice(i * 4096, (i + 1) * 4096));
    assert.equal(String(await sourceOf(pieces).head()), long);
    assert.equal(String(await sourceOf([long]).head()), long);
    await assert.rejects(sourceOf([head(64 * 1024 + 1)]).head(), MalformedMessage);
  });

  test('costs no more if many small pieces follow that nobody reads', async () => {
    let given = 0;
    const socket = new Duplex({
      highWaterMark: 1,
      read() {
        given += 1;
        this.push('x');
      },
      write: (_piece, _encoding, done) => done(),
    });
    const source = sourceOn(socket);
    assert.equal(String(await source.next()), 'x');
    // It stops by itself, because each piece counts for more than its byte.
    await new Promise((resolve) => setImmediate(resolve));
    while (!socket.isPaused()) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(given < 1024, `${given} pieces are held`);
    socket.destroy();
  });
});
