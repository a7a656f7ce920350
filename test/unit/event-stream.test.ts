import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { goneWith, type Sent, sendEvents } from '../../httpserver/v1/event-stream.ts';

const OPENING = ': these are events\n\n';
const SIGN_OF_LIFE = ':\n\n';
/** Events of sources with many of them, each of 1 KB. */
const MANY = 20_000;
const PADDING = 'x'.repeat(1000);
/** Far more than the buffers of a unix socket and of its response can hold. */
const FEW = 2000;

interface Served {
  readonly path: string;
  readonly response: Promise<ServerResponse>;
  /** Settles when `sendEvents` does. */
  readonly sent: Promise<void>;
}

/** Answers with the events of `source`; its signal aborts when the client disconnects. */
async function serve(t: TestContext, source: (gone: AbortSignal) => AsyncIterable<Sent>): Promise<Served> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'event-stream-'));
  const path = join(directory.path, 'socket');
  const { promise: response, resolve: answered } = Promise.withResolvers<ServerResponse>();
  const server = createServer((_, one) => answered(one)).listen(path);
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await directory.remove();
  });
  const sent = response.then(async (one) => {
    const gone = goneWith(one);
    await sendEvents(one, source(gone), gone);
  });
  sent.catch(() => {});
  await once(server, 'listening');
  return { path, response, sent };
}

async function open(path: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get({ socketPath: path, agent: false }, resolve).on('error', reject);
  const response = await promise;
  return response.setEncoding('utf8');
}

/** A client that sends a request and does not read. */
function openDeaf(t: TestContext, path: string): Socket {
  const socket = connect(path).pause();
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: host\r\n\r\n');
  return socket;
}

/** The progress of a source. */
interface Progress {
  produced: number;
  ended: boolean;
}

function many(progress: Progress) {
  return async function* (gone: AbortSignal): AsyncGenerator<Sent> {
    try {
      while (progress.produced < MANY && !gone.aborted) {
        const n = progress.produced++;
        yield { event: 'one', id: `a-${n}`, data: { n, PADDING } };
      }
    } finally {
      progress.ended = true;
    }
  };
}

/** Resolves when the source makes no progress in many turns of the event loop. */
async function stalled(progress: Progress, response: ServerResponse): Promise<void> {
  for (let before = -1; before !== progress.produced; ) {
    before = progress.produced;
    for (let i = 0; i < 100; i++) await turn();
  }
  assert.ok(response.writableNeedDrain, `it continues after ${progress.produced} events`);
}

/** Yields nothing until the client disconnects. */
function silent(progress: Progress) {
  return async function* (gone: AbortSignal): AsyncGenerator<Sent> {
    try {
      if (!gone.aborted) await once(gone, 'abort');
      yield* [];
    } finally {
      progress.ended = true;
    }
  };
}

suite('a stream of events', () => {
  test('has one line each for an event, its id and its data, followed by an empty line', async (t) => {
    const { path, sent } = await serve(t, async function* () {
      yield { event: 'container', id: '5f-1', data: { id: '5f-1', cause: 'it was requested' } };
      yield { event: 'missed', data: {} };
      yield { event: 'container', id: '5f-2', data: { nested: { list: [1, null] } } };
    });
    const response = await open(path);
    const { 'content-type': type, 'cache-control': cache, connection } = response.headers;
    assert.equal(response.statusCode, 200);
    assert.deepEqual([type, cache, connection], ['text/event-stream', 'no-store', 'close']);
    assert.equal(
      (await response.toArray()).join(''),
      `${OPENING}event: container\nid: 5f-1\ndata: {"id":"5f-1","cause":"it was requested"}\n\n` +
        'event: missed\ndata: {}\n\n' +
        'event: container\nid: 5f-2\ndata: {"nested":{"list":[1,null]}}\n\n',
    );
    await sent;
  });

  test('keeps data on one line, whatever it contains', async (t) => {
    const text = 'a\nb\r\nc\rd\n\nevent: forged\ndata: {}\n\n\u2028ü\u0000"\\';
    const { path } = await serve(t, async function* () {
      yield { event: 'one', data: { text } };
    });
    const [, block = '', ...others] = (await (await open(path)).toArray()).join('').split('\n\n');
    assert.deepEqual(others, ['']);
    const [event, data = '', ...more] = block.split(/\r\n|\r|\n/);
    assert.deepEqual([event, more], ['event: one', []]);
    assert.deepEqual(JSON.parse(data.replace('data: ', '')), { text });
  });

  test('begins before there is an event, and delivers each one as it occurs', async (t) => {
    const [first, second] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
    const { path, sent } = await serve(t, async function* () {
      for (const { promise } of [first, second]) yield { event: 'one', data: { n: await promise } };
    });
    const chunks = (await open(path))[Symbol.asyncIterator]();
    assert.equal((await chunks.next()).value, OPENING);
    first.resolve(1);
    assert.equal((await chunks.next()).value, 'event: one\ndata: {"n":1}\n\n');
    second.resolve(2);
    assert.equal((await chunks.next()).value, 'event: one\ndata: {"n":2}\n\n');
    assert.equal((await chunks.next()).done, true);
    await sent;
  });

  test('ends when its source fails, and the sender gets the reason', async (t) => {
    const { path, sent } = await serve(t, async function* () {
      yield { event: 'one', data: {} };
      throw new Error('the source failed');
    });
    const response = await open(path);
    assert.equal((await response.toArray()).join(''), `${OPENING}event: one\ndata: {}\n\n`);
    await assert.rejects(sent, /the source failed/);
  });
});

suite('a reader that does not read', () => {
  test('stops the source, and gets everything once and in order when it reads', async (t) => {
    const progress: Progress = { produced: 0, ended: false };
    const { path, response, sent } = await serve(t, many(progress));
    const socket = openDeaf(t, path);
    await stalled(progress, await response);
    assert.ok(progress.produced < FEW, `${progress.produced} events were produced without a reader`);
    const read = (await socket.setEncoding('utf8').toArray()).join('');
    const heard = [...read.matchAll(/^id: a-(\d+)$/gm)].map(([, n]) => Number(n));
    assert.deepEqual(
      heard,
      Array.from({ length: MANY }, (_, n) => n),
    );
    await sent;
    assert.ok(progress.ended);
  });

  test('ends the source and the stream when it disconnects', async (t) => {
    const progress: Progress = { produced: 0, ended: false };
    const { path, response, sent } = await serve(t, many(progress));
    const socket = openDeaf(t, path);
    await stalled(progress, await response);
    socket.destroy();
    await sent;
    assert.ok(progress.ended);
    assert.ok(progress.produced < FEW, `${progress.produced} events were produced without a reader`);
  });

  test('leaves no listeners on the response, however often the sender waited', async (t) => {
    const progress: Progress = { produced: 0, ended: false };
    const { path, response, sent } = await serve(t, many(progress));
    openDeaf(t, path).resume();
    const one = await response;
    await sent;
    const [drain, error, close = 0] = ['drain', 'error', 'close'].map((event) => one.listenerCount(event));
    assert.deepEqual([drain, error, progress.produced], [0, 0, MANY]);
    assert.ok(close < 5, `${close} listeners wait for its end`);
  });
});

suite('a silent stream', () => {
  test('sends keepalives, and none after its end', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const progress: Progress = { produced: 0, ended: false };
    const { path, response, sent } = await serve(t, silent(progress));
    const client = await open(path);
    const chunks = client[Symbol.asyncIterator]();
    assert.equal((await chunks.next()).value, OPENING);
    for (let i = 0; i < 3; i++) {
      t.mock.timers.tick(15_000);
      assert.equal((await chunks.next()).value, SIGN_OF_LIFE);
    }
    client.destroy();
    await sent;
    const write = t.mock.method(await response, 'write');
    t.mock.timers.tick(60_000);
    assert.equal(write.mock.callCount(), 0);
  });

  test('sends no keepalive to a reader that does not read', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const progress: Progress = { produced: 0, ended: false };
    const { path, response } = await serve(t, many(progress));
    openDeaf(t, path);
    await stalled(progress, await response);
    const write = t.mock.method(await response, 'write');
    t.mock.timers.tick(150_000);
    assert.equal(write.mock.callCount(), 0);
  });

  test('ends with its client, and ends its source', async (t) => {
    const progress: Progress = { produced: 0, ended: false };
    const { path, sent } = await serve(t, silent(progress));
    const client = await open(path);
    client.destroy();
    await sent;
    assert.ok(progress.ended);
  });
});
