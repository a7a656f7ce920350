import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { OK, type Peer, PING, turns } from '../support/docker-proxy-peers.ts';

const MEGABYTES = 6 * 1024 * 1024;

/** Data of this length in chunks of many sizes, as on the wire. */
function chunked(length: number): Buffer {
  const data = randomBytes(length);
  const parts: Buffer[] = [];
  for (let at = 0, size = 1; at < length; at += size, size = (size * 7) % 99_991) {
    const piece = data.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

async function exchange(client: Peer, engine: Peer, request: string | Buffer, answer: string | Buffer) {
  const [asked, answered] = [engine.length, client.length];
  client.say(request);
  const heard = await engine.hearBytes(asked + request.length);
  assert.ok(heard.subarray(asked).equals(Buffer.from(request)), 'the request differs');
  engine.say(answer);
  const got = await client.hearBytes(answered + answer.length);
  assert.ok(got.subarray(answered).equals(Buffer.from(answer)), 'the answer differs');
}

suite('calls that are passed on', { timeout: 60_000 }, () => {
  test('a call and its answer pass through the proxy byte for byte', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    assert.equal(engine.text, PING);
    engine.say(OK);
    assert.equal(await client.hear('\r\n\r\nOK'), OK);
    assert.ok(client.isOpen && engine.isOpen);
  });

  test('all calls of a client use one connection to Docker', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    engine.say(OK);
    await client.hear(OK);
    const calls = [
      ['HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
      ['POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\none', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
      ['DELETE /c HTTP/1.1\r\n\r\n', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
      [
        'PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n',
      ],
    ] as const;
    for (let i = 0; i < 200; i += 1) {
      const [request, answer] = calls[i % calls.length] as (typeof calls)[number];
      await exchange(client, engine, request, answer);
    }
    assert.equal(bench.engines.length, 1);
  });

  test('megabytes pass unchanged in both directions, with a length and in chunks', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    engine.say(OK);
    await client.hear(OK);
    const long = Buffer.concat([Buffer.from(`Content-Length: ${MEGABYTES}\r\n\r\n`), randomBytes(MEGABYTES)]);
    const inChunks = Buffer.concat([Buffer.from('Transfer-Encoding: chunked\r\n\r\n'), chunked(MEGABYTES)]);
    for (const [up, down] of [
      [inChunks, long],
      [long, inChunks],
    ] as const) {
      const request = Buffer.concat([Buffer.from('POST /images/load HTTP/1.1\r\n'), up]);
      await exchange(client, engine, request, Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), down]));
    }
  });

  test('the available part of an answer is passed on before its end', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    engine.say('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    await client.hear('chunked\r\n\r\n');
    engine.say('5\r\nhel');
    await client.hear('\r\nhel');
    engine.say('lo\r\n0\r\n\r\n');
    await client.hear('hello\r\n0\r\n\r\n');
  });

  test('the available part of a request is passed on before its end', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('POST /build HTTP/1.1\r\nContent-Length: 10\r\n\r\n');
    client.say('hello');
    await engine.hear('hello');
    engine.say('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nstep\r\n');
    await client.hear('step');
    client.say('world');
    await engine.hear('helloworld');
    engine.say('0\r\n\r\n');
    await client.hear('0\r\n\r\n');
    assert.ok(client.isOpen);
  });

  test('a client that waits for 100 Continue receives it from Docker', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(
      'PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
    );
    engine.say('HTTP/1.1 100 Continue\r\n\r\n');
    assert.equal(await client.hear('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
    client.say('body');
    await engine.hear('\r\n\r\nbody');
    engine.say('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
    await client.hear('201 Created');
    await exchange(client, engine, PING, OK);
  });
});

suite('the end of a connection', { timeout: 60_000 }, () => {
  test('pipelined calls are answered one after the other', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    const names = ['a', 'b', 'c'];
    client.say(names.map((name) => `POST /${name} HTTP/1.1\r\nContent-Length: 1\r\n\r\n${name}`).join(''));
    // Like `nc -N`.
    client.socket.end();
    const engine = await bench.engine();
    for (const name of names) {
      const asked = await engine.hear(`\r\n\r\n${name}`);
      assert.equal(asked.split('POST').length - 1, names.indexOf(name) + 1);
      engine.say(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${name.toUpperCase()}`);
    }
    const got = await client.ended();
    assert.deepEqual(got.match(/[ABC](?=HTTP|$)/g), ['A', 'B', 'C']);
    assert.equal(bench.losses, 0);
  });

  test('a client that requests or receives the last answer sees its connection close', async () => {
    for (const [request, answer] of [
      ['GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n', OK],
      ['GET /_ping HTTP/1.0\r\n\r\n', OK],
      [PING, 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK'],
      [PING, 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK'],
    ] as const) {
      await using bench = await ProxyBench.open();
      const [client, engine] = await bench.ask(request);
      engine.say(answer);
      assert.equal(await client.ended(), answer);
    }
  });

  test('an answer without a length continues until the end of its connection, and is the last one', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('GET /containers/x/logs HTTP/1.1\r\n\r\n');
    engine.say('HTTP/1.1 200 OK\r\n\r\none ');
    await client.hear('one ');
    client.say(PING);
    engine.say('two');
    engine.socket.end();
    assert.equal(await client.ended(), 'HTTP/1.1 200 OK\r\n\r\none two');
    assert.doesNotMatch(engine.text, /_ping/);
  });

  test('a connection that Docker closed between two calls is replaced', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    for (let i = 0; i < 3; i += 1) {
      client.say(PING);
      const engine = await bench.engine(i);
      assert.equal(await engine.hear(PING), PING);
      engine.say(OK);
      await client.hear(OK, i + 1);
      engine.socket.destroy();
      await turns();
      assert.ok(client.isOpen);
    }
    assert.equal(bench.losses, 0);
  });

  test('an idle client is never timed out', async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => /Timeout|Immediate/.test(name)).length;
    const before = timers();
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    assert.equal(timers(), before);
    client.say(PING);
    const engine = await bench.engine();
    assert.equal(timers(), before);
    engine.say(OK);
    await client.hear(OK);
    assert.equal(timers(), before);
  });
});
