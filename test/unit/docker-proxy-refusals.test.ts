import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { PING, turns } from '../support/docker-proxy-peers.ts';

const MEGABYTES = 6 * 1024 * 1024;

suite('messages that cannot be parsed', { timeout: 60_000 }, () => {
  test('an ambiguous request is refused and not passed on', async () => {
    for (const request of [
      'POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET / HTTP/1.1\nHost: docker\r\n\r\n',
      'nonsense\r\n\r\n',
    ]) {
      await using bench = await ProxyBench.open();
      const client = await bench.dial();
      client.say(request + PING);
      const [head, body = ''] = (await client.ended()).split('\r\n\r\n');
      assert.match(head ?? '', /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.match(head ?? '', /\r\nConnection: close(\r\n|$)/);
      assert.match(JSON.parse(body).message, /not understood/);
      assert.equal(bench.engines.length, 0);
      assert.equal(bench.losses, 0);
    }
  });

  test('an invalid body ends the call, and Docker does not see its rest', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n',
    );
    client.say('nonsense\r\n');
    assert.match(await client.ended(), /^HTTP\/1\.1 400 /);
    await engine.ended();
    assert.doesNotMatch(engine.text, /nonsense/);
  });

  test('an answer that has begun is broken off, and the proxy adds nothing to it', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n');
    const beginning = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nstep\r\n';
    engine.say(beginning);
    await client.hear('step\r\n');
    client.say('nonsense\r\n');
    assert.equal(await client.ended(), beginning);
  });
});

suite('answers before the end of a request', { timeout: 60_000 }, () => {
  const ANSWER = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n';

  test('an early answer reaches a client that still writes', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(
      `POST /images/load HTTP/1.1\r\nContent-Length: ${4 * MEGABYTES}\r\n\r\n`,
    );
    engine.socket.pause();
    client.say(randomBytes(2 * MEGABYTES));
    engine.say(ANSWER);
    await client.hear('no\n');
    let isBroken = false;
    client.socket.on('error', () => {
      isBroken = true;
    });
    client.say(randomBytes(2 * MEGABYTES));
    client.socket.end();
    assert.equal(await client.ended(), ANSWER);
    await client.closed();
    assert.equal(isBroken, false);
  });

  test('the rest of a request is not taken for another one', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('POST /images/load HTTP/1.1\r\nContent-Length: 100\r\n\r\n');
    engine.say(ANSWER);
    await client.hear('no\n');
    client.say(PING);
    assert.equal(await client.ended(), ANSWER);
    await turns();
    assert.equal(bench.engines.length, 1);
  });
});
