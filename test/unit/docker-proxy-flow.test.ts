import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { OK, PING, takenOf, turns } from '../support/docker-proxy-peers.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
/** The maximum number of bytes in all buffers for a peer that does not read. */
const HELD = 4 * 1024 * 1024;
const PLENTY = 32 * 1024 * 1024;

suite('a peer that stops reading', { timeout: 60_000 }, () => {
  test('a client that stops reading makes Docker wait, and gets everything when it reads', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    client.socket.pause();
    const answer = Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${PLENTY}\r\n\r\n`),
      randomBytes(PLENTY),
    ]);
    const all = engine.pour(answer);
    assert.ok((await takenOf(engine)) < HELD);
    client.socket.resume();
    await all;
    assert.ok((await client.hearBytes(answer.length)).equals(answer));
  });

  test('if Docker stops reading, the client waits, and Docker gets everything when it reads', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(
      `POST /images/load HTTP/1.1\r\nContent-Length: ${PLENTY}\r\n\r\n`,
    );
    const { length } = engine;
    engine.socket.pause();
    const body = randomBytes(PLENTY);
    const all = client.pour(body);
    assert.ok((await takenOf(client)) < HELD);
    engine.socket.resume();
    await all;
    assert.ok((await engine.hearBytes(length + PLENTY)).subarray(length).equals(body));
    engine.say(OK);
    await client.hear(OK);
  });

  test('small pieces for a client that does not read use little memory', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    client.socket.pause();
    engine.say(CHUNKED);
    const before = process.memoryUsage().arrayBuffers;
    const bit = `40\r\n${'x'.repeat(64)}\r\n`;
    for (let i = 0; i < 3000; i += 1) {
      engine.say(bit);
      await turns(1);
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < HELD);
    client.socket.resume();
    await client.hear(bit, 3000);
  });

  test('a client that reads late gets the final answer after many interim ones', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask(PING);
    client.socket.pause();
    const answers = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(2000) + OK;
    engine.say(answers);
    await turns();
    client.socket.resume();
    assert.equal(await client.hear(OK), answers);
  });

  test('the proxy stops reading from a client that sends requests without reading answers', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    client.socket.pause();
    const all = client.pour(Buffer.from(PING.repeat(PLENTY / PING.length)));
    const engine = await bench.engine();
    await engine.hear(PING);
    assert.ok((await takenOf(client)) < HELD);
    // Its earlier requests hide its disconnect from Docker, even without a proxy.
    bench.stopEngine();
    client.socket.resume();
    await all;
  });
});

suite('a client that disconnects', { timeout: 60_000 }, () => {
  test('before its request leaves nothing behind, and Docker is not contacted', async () => {
    for (const said of ['', 'GET /_ping HT', PING.slice(0, -1)]) {
      await using bench = await ProxyBench.open();
      const client = await bench.dial();
      client.say(said);
      client.socket.end();
      await client.closed();
      assert.equal(bench.engines.length, 0);
    }
  });

  test('during its request leaves nothing behind, and Docker sees a truncated request', async () => {
    await using bench = await ProxyBench.open();
    for (const said of ['Content-Length: 10\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello']) {
      const [client, engine] = await bench.ask(`POST /build HTTP/1.1\r\n${said}`);
      client.socket.destroy();
      assert.match(await engine.ended(), /hello$/);
      // It is closed completely, not only in one direction.
      await engine.refused();
    }
    assert.equal(bench.losses, 0);
  });

  test('before the answer is noticed by Docker, and leaves nothing behind', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('POST /containers/one/wait HTTP/1.1\r\n\r\n');
    client.socket.destroy();
    await engine.ended();
    engine.socket.end();
    await engine.closed();
    await turns();
    assert.equal(bench.losses, 0);
  });

  test('during the answer makes Docker stop', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await bench.ask('GET /containers/one/logs?follow=1 HTTP/1.1\r\n\r\n');
    engine.say(`${CHUNKED}5\r\nhello\r\n`);
    await client.hear('hello');
    client.socket.destroy();
    await engine.ended();
    engine.say('400\r\n');
    await engine.refused();
    await turns();
    assert.equal(bench.losses, 0);
  });

  test('only in its own direction still gets its answer', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    client.say(PING);
    client.socket.end();
    const engine = await bench.engine();
    assert.equal(await engine.ended(), PING);
    engine.say(OK);
    assert.equal(await client.ended(), OK);
  });
});

suite('if Docker is away', { timeout: 60_000 }, () => {
  /** A `lost` that returns when the test says so. */
  function held() {
    const called = Promise.withResolvers<void>();
    const returned = Promise.withResolvers<void>();
    const lost = async () => {
      called.resolve();
      await returned.promise;
    };
    return { lost, called: called.promise, goOn: () => returned.resolve() };
  }

  test("the service learns of it before a call is refused, in the form of Docker's errors", async () => {
    const { lost, called, goOn } = held();
    await using bench = await ProxyBench.open({ isAway: true, lost });
    const client = await bench.dial();
    client.say(PING);
    await called;
    await turns();
    assert.equal(client.length, 0);
    assert.ok(client.isOpen);
    goOn();
    const [head, body = ''] = (await client.ended()).split('\r\n\r\n');
    assert.match(head ?? '', /^HTTP\/1\.1 503 Service Unavailable\r\nContent-Type: application\/json\r\n/);
    assert.match(head ?? '', new RegExp(`\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`));
    assert.deepEqual(Object.keys(JSON.parse(body)), ['message']);
    assert.ok(JSON.parse(body).message.includes(bench.enginePath));
  });

  test('the service learns of it before an answer breaks off', async () => {
    for (const [i, beginning] of [
      '',
      'HTTP/1.1 200 OK\r\nCont',
      CHUNKED,
      `${CHUNKED}5\r\nhel`,
      OK.slice(0, -1),
    ].entries()) {
      const { lost, called, goOn } = held();
      await using bench = await ProxyBench.open({ lost });
      const [client, engine] = await bench.ask(PING);
      engine.say(beginning);
      await turns();
      bench.stopEngine();
      await called;
      await turns();
      assert.ok(client.isOpen, String(i));
      goOn();
      const got = await client.ended();
      assert.equal(got, i === 1 ? '' : beginning, 'the proxy added nothing');
      assert.equal(bench.losses, 1);
    }
  });

  test('an invalid answer counts as its absence', async () => {
    for (const answer of [
      'nonsense\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
      `${CHUNKED}nonsense\r\n`,
    ]) {
      await using bench = await ProxyBench.open();
      const [client, engine] = await bench.ask(PING);
      engine.say(answer);
      assert.doesNotMatch(await client.ended(), /nonsense|Content-Length/);
      assert.equal(bench.losses, 1);
    }
  });

  test('clients that still send receive the whole refusal', async () => {
    await using bench = await ProxyBench.open({ isAway: true });
    const client = await bench.dial();
    client.say(`POST /images/load HTTP/1.1\r\nContent-Length: ${PLENTY}\r\n\r\n`);
    client.say(randomBytes(PLENTY));
    client.socket.end();
    assert.match(await client.ended(), /^HTTP\/1\.1 503 [\s\S]*"}\n$/);
    await client.closed();
    assert.equal(client.socket.errored, null);
  });

  test('Docker is used again when it is back', async () => {
    await using bench = await ProxyBench.open({ isAway: true });
    const early = await bench.dial();
    const refused = await bench.dial();
    refused.say(PING);
    await refused.hear('503');
    await bench.startEngine();
    early.say(PING);
    const engine = await bench.engine();
    await engine.hear(PING);
    engine.say(OK);
    await early.hear(OK);
    assert.equal(bench.losses, 1);
  });
});

test('clients that have disconnected leave no socket and no timer behind', { timeout: 60_000 }, async () => {
  await turns();
  const before = process.getActiveResourcesInfo().toSorted((a, b) => a.localeCompare(b));
  {
    await using bench = await ProxyBench.open();
    for (let i = 0; i < 5; i += 1) {
      const [client, engine] = await bench.ask(PING);
      engine.say(OK);
      await client.hear(OK);
    }
    assert.ok(process.getActiveResourcesInfo().length >= before.length + 10);
  }
  await turns();
  assert.deepEqual(
    process.getActiveResourcesInfo().toSorted((a, b) => a.localeCompare(b)),
    before,
  );
});
