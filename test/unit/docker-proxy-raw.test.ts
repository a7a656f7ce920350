import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { type Peer, takenOf } from '../support/docker-proxy-peers.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
const ATTACH = `POST /v1.44/containers/one/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n${UPGRADE}\r\n`;
const UPGRADED = `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n${UPGRADE}\r\n`;
const MEGABYTES = 4 * 1024 * 1024;

/** A client and Docker after an upgrade from HTTP, with what they sent before. */
async function tunnel(bench: ProxyBench): Promise<[Peer, Peer]> {
  const [client, engine] = await bench.ask(ATTACH);
  engine.say(UPGRADED);
  await client.hear(UPGRADED);
  return [client, engine];
}

suite('after an upgrade', { timeout: 60_000 }, () => {
  test('both sides can send at once, megabytes too', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await tunnel(bench);
    const [up, down] = [randomBytes(MEGABYTES), randomBytes(MEGABYTES)];
    client.say(up);
    engine.say(down);
    assert.ok((await engine.hearBytes(ATTACH.length + MEGABYTES)).subarray(ATTACH.length).equals(up));
    assert.ok((await client.hearBytes(UPGRADED.length + MEGABYTES)).subarray(UPGRADED.length).equals(down));
    client.say('HTTP/1.1 200 OK\r\n\r\n');
    engine.say(ATTACH);
    await engine.hear('200 OK');
    await client.hear(ATTACH);
    assert.ok(client.isOpen && engine.isOpen);
  });

  test('the client can end first, and still receives what Docker sends', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await tunnel(bench);
    client.say('exit\n');
    client.socket.end();
    assert.equal(await engine.ended(), `${ATTACH}exit\n`);
    engine.say('bye');
    assert.equal(await client.hear('bye'), `${UPGRADED}bye`);
    assert.ok(client.isOpen);
    engine.socket.end();
    assert.equal(await client.ended(), `${UPGRADED}bye`);
  });

  test('Docker can end first, and still receives what the client sends', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await tunnel(bench);
    engine.say('bye');
    engine.socket.end();
    assert.equal(await client.ended(), `${UPGRADED}bye`);
    client.say('one more');
    assert.equal(await engine.hear('one more'), `${ATTACH}one more`);
    assert.ok(engine.isOpen);
    client.socket.end();
    await engine.closed();
    await client.closed();
  });

  test('a client that disconnects leaves nothing behind, even if Docker continues', async () => {
    await using bench = await ProxyBench.open();
    const [client, engine] = await tunnel(bench);
    engine.say('x'.repeat(1000));
    await client.hear('x');
    client.socket.destroy();
    await engine.ended();
    await engine.refused();
  });

  test("a disconnect by Docker ends the client's connection", async () => {
    await using bench = await ProxyBench.open();
    const [client] = await tunnel(bench);
    bench.stopEngine();
    assert.equal(await client.ended(), UPGRADED);
    await client.refused();
    assert.equal(bench.losses, 0);
  });

  test('bytes that arrive together with the heads are not lost', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    client.say(`${ATTACH}early in`);
    const engine = await bench.engine();
    await engine.hear(ATTACH);
    engine.say(`${UPGRADED}early out`);
    await client.hear('early out');
    await engine.hear(`${ATTACH}early in`);
    client.say('late in');
    await engine.hear('early inlate in');
  });

  test('everything from a client that ended before the upgrade is passed on', async () => {
    await using bench = await ProxyBench.open();
    const client = await bench.dial();
    client.say(`${ATTACH}all of it`);
    client.socket.end();
    const engine = await bench.engine();
    await engine.hear(ATTACH);
    engine.say(UPGRADED);
    assert.equal(await engine.ended(), `${ATTACH}all of it`);
    engine.say('bye');
    engine.socket.end();
    assert.equal(await client.ended(), `${UPGRADED}bye`);
    assert.equal(bench.losses, 0);
  });

  test('a side that does not read makes the other one wait', async () => {
    for (const isUp of [true, false]) {
      await using bench = await ProxyBench.open();
      const [client, engine] = await tunnel(bench);
      const [from, to, before] = isUp ? [client, engine, ATTACH] : [engine, client, UPGRADED];
      to.socket.pause();
      const bytes = randomBytes(8 * MEGABYTES);
      const all = from.pour(bytes);
      assert.ok((await takenOf(from)) < MEGABYTES);
      to.socket.resume();
      await all;
      assert.ok((await to.hearBytes(before.length + bytes.length)).subarray(before.length).equals(bytes));
    }
  });
});

suite('without an upgrade', { timeout: 60_000 }, () => {
  test('old clients can attach and exec through an answer without a length', async () => {
    for (const target of [
      '/containers/one/attach?stream=1&stdin=1',
      '/v1.21/containers/one/attach',
      '/exec/0123/start',
      '/v1.24/exec/0123/start',
    ]) {
      await using bench = await ProxyBench.open();
      const request = `POST ${target} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}`;
      const [client, engine] = await bench.ask(request);
      const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n';
      engine.say(answer);
      await client.hear(answer);
      client.say('in\r\n\r\n');
      assert.equal(await engine.hear('in\r\n\r\n'), `${request}in\r\n\r\n`);
      engine.say('out');
      assert.equal(await client.hear('out'), `${answer}out`);
      client.socket.end();
      await engine.ended();
      engine.say('bye');
      engine.socket.end();
      assert.equal(await client.ended(), `${answer}outbye`);
    }
  });

  test('a refused upgrade ends nothing, and the next call on the connection is still inspected', async () => {
    const looked: string[] = [];
    await using bench = await ProxyBench.open({
      handlerOf:
        () =>
        ({ target }) =>
          target === '/containers/create'
            ? async (exchange) => {
                looked.push((await exchange.read(100)).data.toString());
                return await exchange.reply(Buffer.from('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'));
              }
            : undefined,
    });
    const [client, engine] = await bench.ask(ATTACH);
    const refusal = 'HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\n{"message":"no"}';
    engine.say(refusal);
    assert.equal(await client.hear('"no"}'), refusal);
    client.say('POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n');
    await client.hear('201 Created');
    assert.deepEqual(looked, ['{}']);
    assert.equal(engine.text, ATTACH);
    client.say(ATTACH);
    await engine.hear(ATTACH, 2);
    engine.say(UPGRADED);
    await client.hear(UPGRADED);
    client.say('POST /containers/create HTTP/1.1\r\nContent-Length: 0\r\n\r\n');
    await engine.hear('create');
    assert.deepEqual(looked, ['{}']);
  });
});
