import assert from 'node:assert/strict';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { RandomMessages } from '../support/docker-proxy-messages.ts';
import { SEED } from '../support/seed.ts';

/** Messages of a test. */
const MANY = 150;

/** Printed immediately, so that a test that hangs has printed it too; `SEED=…` repeats it. */
function seedOf(t: TestContext): number {
  t.diagnostic(`seed ${SEED}`);
  return SEED;
}

interface Heard {
  readonly status: number;
  readonly data: Buffer;
}

/** A client that keeps its connections as long as it exists. */
class Caller implements Disposable {
  readonly #path: string;
  readonly #agent: Agent;

  constructor({ path }: ProxyBench, maxSockets: number) {
    this.#path = path;
    this.#agent = new Agent({ keepAlive: true, maxSockets });
  }

  call(method: string, data = Buffer.alloc(0), headers = {}): Promise<Heard> {
    const { promise, resolve, reject } = Promise.withResolvers<Heard>();
    const heard = async (answer: IncomingMessage) => {
      resolve({ status: answer.statusCode ?? 0, data: await buffer(answer) });
    };
    const options = { socketPath: this.#path, agent: this.#agent, method, path: '/x', headers };
    const asked = request(options, (answer) => {
      heard(answer).catch(reject);
    });
    asked.on('error', reject);
    asked.end(data);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

suite('random messages', { timeout: 120_000 }, () => {
  test('all forms of requests reach a server with their meaning intact, in order', async (t) => {
    const some = new RandomMessages(seedOf(t));
    // Timing decides in which order the two sides draw.
    const others = new RandomMessages(some.seed + 1);
    const heard: string[] = [];
    const hear = async (asked: IncomingMessage) => {
      const data = await buffer(asked);
      heard.push(`${asked.method} ${asked.url} ${data.toString('base64')}`);
      return others.oneOf('', 'answered');
    };
    const server = createServer((asked, answer) => {
      void hear(asked).then((said) => answer.end(said));
    });
    await using bench = await ProxyBench.open({ engine: server });
    const client = await bench.dial();
    const meant: string[] = [];
    for (let i = 0; i < MANY; i += 1) {
      const method = some.oneOf('GET', 'POST', 'PUT', 'DELETE');
      const data = method === 'GET' ? Buffer.alloc(0) : some.data();
      meant.push(`${method} /${i} ${data.toString('base64')}`);
      const { fields, body } = method === 'GET' ? { fields: '', body: data } : some.framed(data);
      const head = Buffer.from(`${method} /${i} HTTP/1.1\r\nHost: docker\r\n${fields}\r\n`);
      await some.write(client.socket, Buffer.concat([head, body]));
    }
    await client.hear('HTTP/1.1 200 OK\r\n', MANY);
    assert.deepEqual(heard, meant);
    server.closeAllConnections();
  });

  test('all forms of answers reach a client with their meaning intact, in order', async (t) => {
    const some = new RandomMessages(seedOf(t));
    await using bench = await ProxyBench.open();
    using caller = new Caller(bench, 1);
    for (let i = 0; i < MANY; i += 1) {
      const method = some.oneOf('GET', 'GET', 'HEAD', 'POST');
      const status = some.oneOf(200, 200, 201, 204, 304, 404, 500);
      const meant = method === 'HEAD' || status === 204 || status === 304 ? Buffer.alloc(0) : some.data();
      const { fields, body } = some.framed(meant);
      const before = some.oneOf('', '', 'HTTP/1.1 102 Processing\r\n\r\n');
      const isBare = method === 'HEAD' || status === 304;
      const head = `${before}HTTP/1.1 ${status} Some Reason\r\n${status === 204 ? '' : fields}\r\n`;
      const answered = caller.call(method);
      const engine = await bench.engine();
      await engine.hear('\r\n\r\n', i + 1);
      await some.write(
        engine.socket,
        Buffer.concat([Buffer.from(head), isBare || status === 204 ? meant : body]),
      );
      const got = await answered;
      assert.equal(got.status, status);
      assert.ok(got.data.equals(meant), `answer ${i} differs`);
    }
    assert.equal(bench.engines.length, 1);
  });

  test('concurrent clients each get the answers to their own calls', async (t) => {
    const some = new RandomMessages(seedOf(t));
    const server = createServer((asked, answer) => {
      if (asked.headers['x-length']) answer.setHeader('Content-Length', asked.headers['x-length']);
      asked.pipe(answer);
    });
    await using bench = await ProxyBench.open({ engine: server });
    using caller = new Caller(bench, 8);
    const calls = Array.from({ length: MANY }, async () => {
      const data = some.data();
      const headers = some.oneOf({ 'x-length': data.length }, { 'Transfer-Encoding': 'chunked' }, {});
      const got = await caller.call(some.oneOf('POST', 'PUT'), data, headers);
      assert.ok(got.data.equals(data));
    });
    await Promise.all(calls);
    server.closeAllConnections();
  });

  test('messages with a changed byte are passed on, refused or cut off, and the proxy keeps working', async (t) => {
    const some = new RandomMessages(seedOf(t));
    const server = createServer((asked, answer) => asked.pipe(answer));
    server.on('clientError', (_error, socket) => socket.destroy());
    await using bench = await ProxyBench.open({ engine: server });
    for (let i = 0; i < MANY; i += 1) {
      const { fields, body } = some.framed(some.data().subarray(0, 500));
      const bytes = Buffer.concat([Buffer.from(`PUT /${i} HTTP/1.1\r\nHost: docker\r\n${fields}\r\n`), body]);
      bytes[some.below(bytes.length)] = some.below(256);
      const client = await bench.dial();
      await some.write(client.socket, bytes);
      client.socket.end();
      const got = await client.ended();
      assert.match(got, /^($|HTTP\/1\.1 \d\d\d )/, `message ${i}`);
      assert.ok(!got.startsWith('HTTP/1.1 503'), `message ${i}`);
    }
    using caller = new Caller(bench, 1);
    assert.equal((await caller.call('POST', Buffer.from('well'))).data.toString(), 'well');
    server.closeAllConnections();
  });
});
