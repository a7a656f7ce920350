import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Exchange } from '../../ecs-agent-bridge/docker-proxy/connection.ts';
import { type Answer, Lost } from '../../ecs-agent-bridge/docker-proxy/engine.ts';
import { parseRequest } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { refusal, rewritten } from '../../ecs-agent-bridge/docker-proxy/own-messages.ts';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { OK, PING, turns } from '../support/docker-proxy-peers.ts';

const CREATE = 'POST /containers/create HTTP/1.1\r\nHost: docker\r\n';
const BODY = '1;x=y\r\n{\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n';
const CHUNKED = `${CREATE}Transfer-Encoding: chunked\r\n\r\n${BODY}`;

/** A proxy in which this handles the creates. */
function open(handle: (exchange: Exchange) => Promise<boolean>) {
  const handlerOf = () => (request: Exchange['request']) =>
    request.target === '/containers/create' ? handle : undefined;
  return ProxyBench.open({ handlerOf });
}

suite('a call that a handler takes', { timeout: 20_000 }, () => {
  test('is read before Docker sees it, and can still be passed on unchanged', async () => {
    const read = Promise.withResolvers<string>();
    const goOn = Promise.withResolvers<void>();
    await using bench = await open(async (exchange) => {
      const body = await exchange.read(100);
      read.resolve(body.data.toString());
      await goOn.promise;
      return await exchange.forward(body);
    });
    const client = await bench.dial();
    client.say(CHUNKED);
    assert.equal(await read.promise, '{}');
    await turns();
    assert.equal(bench.engines.length, 0);
    goOn.resolve();
    const engine = await bench.engine();
    assert.equal(await engine.hear('X: y\r\n\r\n'), CHUNKED);
    engine.say(OK);
    await client.hear(OK);
    client.say(PING);
    assert.equal(await engine.hear(PING), CHUNKED + PING);
  });

  test('is refused if its body is too long', async () => {
    for (const body of ['Content-Length: 101\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n65\r\n']) {
      await using bench = await open(async (exchange) => await exchange.forward(await exchange.read(100)));
      const client = await bench.dial();
      client.say(CREATE + body + 'x'.repeat(101));
      assert.match(await client.ended(), /^HTTP\/1\.1 400 .*longer than 100 bytes/s);
      assert.equal(bench.engines.length, 0);
    }
  });

  test('is asked for its body if its client waits for 100 Continue', async () => {
    await using bench = await open(async (exchange) => {
      const { data } = await exchange.read(100);
      return await exchange.refuse(422, `not ${data.toString()}`);
    });
    const client = await bench.dial();
    client.say(`${CREATE}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
    await client.hear('HTTP/1.1 100 Continue\r\n\r\n');
    client.say('this');
    assert.match(await client.ended(), /\r\n\r\nHTTP\/1\.1 422 .*\r\n\r\n\{"message":"not this"\}\n$/s);
  });

  test('can send another request to Docker, and gets the whole answer', async () => {
    const got: Answer[] = [];
    await using bench = await open(async (exchange) => {
      await exchange.read(100);
      const answer = await exchange.ask(Buffer.from(PING));
      got.push(answer);
      return await exchange.reply(answer.bytes);
    });
    const client = await bench.dial();
    client.say(CHUNKED);
    const engine = await bench.engine();
    assert.equal(await engine.hear('\r\n\r\n'), PING);
    const last = 'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n';
    engine.say(`HTTP/1.1 102 Processing\r\n\r\n${last}`);
    assert.equal(await client.hear('\r\n0\r\n\r\n'), last);
    assert.deepEqual(
      got.map(({ status, data }) => [status, data.toString()]),
      [[201, 'abc']],
    );
    client.say(PING);
    await engine.hear('_ping', 2);
  });

  test('is notified if Docker breaks off its answer, and so is its client', async () => {
    const errors: unknown[] = [];
    await using bench = await open(async (exchange) => {
      await exchange.read(100);
      return await exchange.ask(Buffer.from(PING)).then(
        () => true,
        (error) => {
          errors.push(error);
          throw error;
        },
      );
    });
    const client = await bench.dial();
    client.say(CHUNKED);
    const engine = await bench.engine();
    await engine.hear(PING);
    engine.say(OK.slice(0, -1));
    engine.socket.end();
    assert.equal(await client.ended(), '');
    assert.ok(errors[0] instanceof Lost);
    assert.equal(bench.losses, 1);
  });

  for (const [how, framing, body] of [
    ['with a length', 'Content-Length: 6\r\n', 'unread'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', BODY],
  ] as const) {
    test(`is answered if its body ${how} is not read, and the next call is parsed`, async () => {
      await using bench = await open(async (exchange) => await exchange.reply(Buffer.from(OK)));
      const client = await bench.dial();
      client.say(`${CREATE}${framing}\r\n`);
      await client.hear(OK);
      client.say(body + PING);
      assert.equal(await (await bench.engine()).hear('\r\n\r\n'), PING);
    });
  }

  test('ends the connection if nobody requested its body, because the next call could not be found', async () => {
    await using bench = await open(async (exchange) => await exchange.reply(Buffer.from(OK)));
    const client = await bench.dial();
    client.say(`${CREATE}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
    assert.equal(await client.ended(), OK);
  });

  test('whose client has disconnected does not count as a failure of the proxy', async () => {
    const gone = Promise.withResolvers<void>();
    // The bench fails if a client could not be served.
    await using bench = await open(async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      gone.resolve();
      signal.throwIfAborted();
      return true;
    });
    const client = await bench.dial();
    client.say(`${CREATE}\r\n`);
    await turns();
    client.socket.destroy();
    await gone.promise;
  });

  test('is notified if its client disconnects, and its own request to Docker is not cut off', async () => {
    const gone = Promise.withResolvers<void>();
    const answers: Answer[] = [];
    await using bench = await open(async (exchange) => {
      await exchange.read(100);
      exchange.signal.addEventListener('abort', () => gone.resolve());
      answers.push(await exchange.ask(Buffer.from(CREATE)));
      return false;
    });
    // An earlier call was passed on over the same connections.
    const [client, engine] = await bench.ask(PING);
    engine.say(OK);
    await client.hear(OK);
    client.say(CHUNKED);
    await engine.hear(CREATE);
    client.socket.destroy();
    await gone.promise;
    await turns();
    assert.ok(engine.isOpen);
    engine.say(OK);
    await engine.ended();
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200],
    );
  });
});

suite('messages that the proxy makes', () => {
  const parsed = parseRequest(
    Buffer.from(
      `${CREATE}content-length: 7\r\nX-Content-Length: 8\r\nEXPECT: 100-continue\r\nTrailer: X\r\nX-Y: \xe4\r\n\r\n`,
      'latin1',
    ),
  );

  test('a changed call keeps all fields of its head except those about the body', () => {
    const bytes = rewritten(parsed, '/v1.41/containers/create', Buffer.from('äöü')).toString('latin1');
    const [head, body] = bytes.split('\r\n\r\n');
    assert.deepEqual(head?.split('\r\n'), [
      'POST /v1.41/containers/create HTTP/1.1',
      'Host: docker',
      'X-Content-Length: 8',
      'X-Y: \xe4',
      'Content-Length: 6',
    ]);
    assert.equal(Buffer.from(body ?? '', 'latin1').toString(), 'äöü');
  });

  test('a rewritten call without a body has a length of 0, unless it never had a body', () => {
    const chunked = parseRequest(Buffer.from('POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'));
    assert.equal(
      rewritten(chunked, '/b', Buffer.alloc(0)).toString(),
      'POST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
    );
    const get = parseRequest(Buffer.from('GET /a HTTP/1.1\r\nHost: docker\r\n\r\n'));
    assert.equal(rewritten(get, '/b', Buffer.alloc(0)).toString(), 'GET /b HTTP/1.1\r\nHost: docker\r\n\r\n');
  });

  test("a refusal has the form of Docker's, with its length in bytes", () => {
    assert.equal(
      refusal(503, 'ä "quoted"\r\nline', '').toString(),
      'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 36\r\n' +
        'Connection: close\r\n\r\n{"message":"ä \\"quoted\\"\\r\\nline"}\n',
    );
    assert.equal(
      refusal(404, 'ä "quoted"', '/v1.21/x').toString(),
      'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n' +
        'Connection: close\r\n\r\nä "quoted"\n',
    );
  });

  test('an unparsable request is refused as one without a version, whatever came before', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING.replace('/_ping', '/v1.21/_ping'));
    engine.say(OK);
    client.say('nonsense\r\n\r\n');
    assert.match(await client.ended(), /\r\n\r\n\{"message":"the request is not understood.*"\}\n$/s);
  });
});
