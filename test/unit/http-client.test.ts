import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp, type Socket } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as loop } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { HttpClient, type Question } from '../../outgoing/http-client.ts';
import { type Fault, Recorder, type RecorderOptions } from '../support/recorder.ts';

/** Longer than any test waits, in milliseconds. */
const LONG = 10_000;

/** The time limit for a server with this fault, in milliseconds. */
function within(fault: Fault): number {
  return ['silent', 'hangs', 'drips'].includes(fault) ? 50 : LONG;
}

const QUERY = '?token=query-that-is-secret';

interface Both {
  readonly client: HttpClient;
  readonly recorder: Recorder;
  readonly ask: (path: string, question?: Partial<Question>) => ReturnType<HttpClient['ask']>;
}

async function open(t: TestContext, reply: RecorderOptions['reply']): Promise<Both> {
  const client = new HttpClient();
  const recorder = await Recorder.open({ reply });
  t.after(() => client.close());
  t.after(() => recorder.close());
  const { url } = recorder;
  const ask: Both['ask'] = (path, question) =>
    client.ask(new URL(path, url), { method: 'GET', milliseconds: LONG, ...question });
  return { client, recorder, ask };
}

/** A server whose connections the test sees, or whose answers have headers. */
async function serve(t: TestContext, listener: RequestListener): Promise<{ server: Server; url: URL }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

const DEAF = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** A port on which the kernel completes no more connections, because nobody accepts those that wait. */
async function openDeaf(t: TestContext): Promise<URL> {
  const worker = new Worker(DEAF, { eval: true });
  const waiting: Socket[] = [];
  t.after(async () => {
    for (const socket of waiting) socket.destroy();
    await worker.terminate();
  });
  const [port] = (await once(worker, 'message')) as [number];
  // Linux lets one more connection wait than it is configured to.
  while (waiting.length < 2) {
    const socket = connect(port, '127.0.0.1');
    waiting.push(socket);
    await once(socket, 'connect');
  }
  return new URL(`http://127.0.0.1:${port}`);
}

/** The handles that keep the process alive, except timers. */
function held(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== 'Timeout' && kind !== 'Immediate')
    .sort();
}

/** The handles after so many turns of the event loop that any possible connection is made. */
async function settled(): Promise<string[]> {
  for (let round = 0; round < 20; round += 1) await loop();
  return held();
}

/** Resolves when the connection is closed, in any way. */
function over(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on('error', () => {}).once('close', () => resolve()));
}

const LATE = /^GET http:\S+ did not finish within \d+ ms$/;

async function failureOf(asking: Promise<unknown>): Promise<Error> {
  return await asking.then(
    () => assert.fail('it was answered'),
    (error) => error,
  );
}

suite('answers', { timeout: 20_000 }, () => {
  test('a request is sent unchanged, and its answer is returned unchanged', async (t) => {
    const { recorder, ask } = await open(t, ({ body }) => ({ status: 201, body: `${body} to you` }));
    const headers = { 'x-kind': 'greeting' };
    const answer = await ask(`/hello${QUERY}`, { method: 'POST', headers, body: 'good day' });
    assert.deepEqual([answer.status, answer.body], [201, 'good day to you']);
    assert.ok(answer.headers.date);
    const [request] = recorder.requests;
    assert.deepEqual(
      [request?.method, request?.path, request?.headers['x-kind'], request?.body],
      ['POST', `/hello${QUERY}`, 'greeting', 'good day'],
    );
  });

  test('an answer of any status is an answer', async (t) => {
    const { ask } = await open(t, ({ path }) => ({ status: Number(path.slice(1)), body: path }));
    for (const status of [200, 302, 400, 404, 429, 500, 503]) {
      const answer = await ask(`/${status}`);
      assert.deepEqual([answer.status, answer.body], [status, `/${status}`]);
    }
  });

  test('each answer is read to its end, so that consecutive requests share one connection', async (t) => {
    const { recorder, ask } = await open(t, ({ path }) => ({
      status: Number(path.slice(1)),
      body: 'x'.repeat(60_000),
    }));
    for (const status of [200, 404, 500, 302, 200]) {
      assert.equal((await ask(`/${status}`)).status, status);
      // Not before undici has noticed that the connection is free.
      await loop();
    }
    assert.equal(recorder.connections, 1);
  });

  test('at most 10 connections are opened to a service, and further requests wait for one', async (t) => {
    const gate = Promise.withResolvers<void>();
    const { recorder, ask } = await open(t, async () => {
      await gate.promise;
      return { status: 200, body: '' };
    });
    const paths = Array.from({ length: 12 }, (_, number) => `/${number}`);
    const asking = paths.map((path) => ask(path));
    for (const one of paths.slice(0, 10)) await recorder.request(({ path }) => path === one);
    gate.resolve();
    await Promise.all(asking);
    assert.equal(recorder.requests.length, 12);
    assert.equal(recorder.connections, 10);
  });

  test('a redirect is not followed', async (t) => {
    const paths: (string | undefined)[] = [];
    const { url } = await serve(t, ({ url: path }, response) => {
      paths.push(path);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const client = new HttpClient();
    t.after(() => client.close());
    const { status, headers } = await client.ask(new URL('/here', url), {
      method: 'GET',
      milliseconds: LONG,
    });
    assert.deepEqual([status, headers.location, paths], [302, '/elsewhere', ['/here']]);
  });
});

suite('answers that do not arrive', { timeout: 20_000 }, () => {
  test('a request without an answer fails at its deadline', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    recorder.fault = 'hangs';
    const error = await failureOf(ask('/slow', { milliseconds: 50 }));
    assert.equal(error.message, `GET ${recorder.url}/slow did not finish within 50 ms`);
  });

  test('a request whose answer stops in the middle fails at its deadline', async (t) => {
    const { server, url } = await serve(t, (_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('the beginning');
    });
    const client = new HttpClient();
    t.after(() => client.close());
    const asking = failureOf(client.ask(url, { method: 'GET', milliseconds: 50 }));
    const [socket] = (await once(server, 'connection')) as [Socket];
    const closed = over(socket);
    assert.match((await asking).message, LATE);
    await closed;
  });

  test('an endless answer is cut off, and its connection is closed', async (t) => {
    const { server, url } = await serve(t, (_, response) => {
      const flood = () => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('error', () => {}).on('drain', flood);
      flood();
    });
    const client = new HttpClient();
    t.after(() => client.close());
    const asking = failureOf(client.ask(url, { method: 'GET', milliseconds: LONG }));
    const [socket] = (await once(server, 'connection')) as [Socket];
    const closed = over(socket);
    assert.match((await asking).message, /: the answer is longer than 65536 bytes$/);
    await closed;
  });

  test('an answer can have the length of the limit, and not a byte more', async (t) => {
    const { ask } = await open(t, ({ path }) => ({ status: 200, body: 'x'.repeat(Number(path.slice(1))) }));
    assert.equal((await ask('/65536')).body.length, 65_536);
    await assert.rejects(ask('/65537'), /longer than 65536 bytes/);
  });

  test('a request whose connection breaks off fails at once', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    recorder.fault = 'resets';
    const error = await failureOf(ask('/'));
    assert.match(error.message, /^GET http:\S+: /);
  });

  test('the caller can abort before the deadline', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    recorder.fault = 'hangs';
    const abort = new AbortController();
    const asking = failureOf(ask('/begun', { signal: abort.signal }));
    await recorder.request(({ path }) => path === '/begun');
    abort.abort(new Error('not needed any more'));
    assert.equal((await asking).message, `GET ${recorder.url}/begun: not needed any more`);
  });

  test('a request that was aborted before it was sent is not sent', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    const signal = AbortSignal.abort(new Error('never mind'));
    assert.match((await failureOf(ask('/', { signal }))).message, /never mind$/);
    assert.deepEqual(recorder.requests, []);
  });

  test('after any failure, the next request is answered', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: 'well' }));
    for (const fault of ['hangs', 'drips', 'floods', 'resets'] as const) {
      recorder.fault = fault;
      await failureOf(ask('/', { milliseconds: within(fault) }));
      recorder.fault = undefined;
      assert.equal((await ask('/')).body, 'well', fault);
    }
  });
});

suite('error texts', { timeout: 20_000 }, () => {
  for (const fault of ['refuses', 'silent', 'resets', 'hangs', 'drips', 'floods'] as const) {
    test(`an error shows the address and not the query: the server ${fault}`, async (t) => {
      const { recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
      const { url } = recorder;
      await recorder.turn(fault);
      const target = `${url}/call${QUERY}`;
      const error = await failureOf(ask(target, { milliseconds: within(fault) }));
      assert.ok(error.message.startsWith(`GET ${url}/call`));
      assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret/);
    });
  }

  test('an error shows nothing of the request or the answer', async (t) => {
    const { recorder, ask } = await open(t, () => ({ status: 200, body: 'secret'.repeat(20_000) }));
    const question = { method: 'POST', headers: { 'x-token': 'secret' }, body: 'secret' } as const;
    const errors = [await failureOf(ask(QUERY, question))];
    recorder.fault = 'hangs';
    errors.push(await failureOf(ask(QUERY, { ...question, milliseconds: 50 })));
    errors.push(await failureOf(ask(QUERY, { ...question, signal: AbortSignal.timeout(50) })));
    const { url } = recorder;
    await recorder.turn('refuses');
    errors.push(await failureOf(ask(url + QUERY, question)));
    const other = createTcp((socket) => void socket.on('error', () => {}).end('secret')).listen(
      0,
      '127.0.0.1',
    );
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address() as AddressInfo;
    errors.push(await failureOf(ask(`http://127.0.0.1:${port}/`, question)));
    for (const error of errors) {
      assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret/);
    }
  });
});

suite('closing', { timeout: 20_000 }, () => {
  test('closing closes a connection that waits for its answer, and its request fails', async (t) => {
    const client = new HttpClient();
    const sockets: Socket[] = [];
    const asked = Promise.withResolvers<void>();
    const { server, url } = await serve(t, () => asked.resolve());
    server.on('connection', (socket) => sockets.push(socket));
    const asking = failureOf(client.ask(url, { method: 'GET', milliseconds: LONG }));
    await asked.promise;
    const closed = over(sockets[0] as Socket);
    await client.close();
    assert.doesNotMatch((await asking).message, LATE);
    await closed;
  });

  test('closing closes an idle connection', async (t) => {
    const client = new HttpClient();
    const { server, url } = await serve(t, (_, response) => response.end());
    const connected = once(server, 'connection') as Promise<[Socket]>;
    await client.ask(url, { method: 'GET', milliseconds: LONG });
    const [socket] = await connected;
    const closed = over(socket);
    await client.close();
    await closed;
  });

  test('closing closes a connection that is being opened', async (t) => {
    const url = await openDeaf(t);
    const before = await settled();
    const client = new HttpClient();
    const asking = failureOf(client.ask(url, { method: 'GET', milliseconds: LONG }));
    assert.deepEqual(await settled(), [...before, 'ConnectWrap', 'TCPSocketWrap'].sort());
    await client.close();
    assert.deepEqual(held(), before);
    assert.doesNotMatch((await asking).message, LATE);
  });

  test('a request that is made during closing is not sent', async (t) => {
    const { client, recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    const asking = failureOf(ask('/'));
    await client.close();
    assert.doesNotMatch((await asking).message, LATE);
    await settled();
    assert.deepEqual(recorder.requests, []);
  });

  test('closing does not fail if a connection breaks off at that moment', async (t) => {
    const server = createTcp((socket) => void socket.on('error', () => {}).resetAndDestroy());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    for (let round = 0; round < 30; round += 1) {
      const client = new HttpClient();
      const asking = [1, 2].map(() => failureOf(client.ask(url, { method: 'GET', milliseconds: LONG })));
      for (let turn = 0; turn < round % 6; turn += 1) await loop();
      await client.close();
      await Promise.all(asking);
    }
  });

  test('closing closes all of several connections, and can be repeated', async (t) => {
    const { client, recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    recorder.fault = 'hangs';
    const asking = ['/1', '/2', '/3'].map((path) => failureOf(ask(path)));
    for (const one of ['/1', '/2', '/3']) await recorder.request(({ path }) => path === one);
    await Promise.all([client.close(), client.close()]);
    await client.close();
    for (const one of asking) assert.doesNotMatch((await one).message, LATE);
  });

  test('after closing, no request is sent', async (t) => {
    const { client, recorder, ask } = await open(t, () => ({ status: 200, body: '' }));
    await ask('/');
    await client.close();
    await failureOf(ask('/too-late'));
    assert.deepEqual(
      recorder.requests.map(({ path }) => path),
      ['/'],
    );
  });
});

test('closing also ends a request whose connection is being opened while another one has failed', async (t) => {
  const sockets: Socket[] = [];
  const both = Promise.withResolvers<void>();
  const server = createTcp((socket) => {
    if (sockets.push(socket.on('error', () => {})) === 2) both.resolve();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // With TLS, a connection stays incomplete.
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const client = new HttpClient();
  const asking = [1, 2].map(() => failureOf(client.ask(url, { method: 'GET', milliseconds: 3000 })));
  await both.promise;
  sockets[0]?.resetAndDestroy();
  await Promise.race(asking);
  await client.close();
  for (const one of asking) assert.doesNotMatch((await one).message, /did not finish/);
});
