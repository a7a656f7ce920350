/** The WebSocket of a terminal: its messages, and when it is closed. */

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { join } from '../../httpserver/v1/terminal-socket.ts';
import { Terminal } from '../../ttys/terminal.ts';
import { FakePty, PassablePty } from '../support/fake-pty.ts';

/** A client that reads only when told to. */
class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  isPaused = false;
  pings = 0;
  closed: number | undefined;
  readonly sent: (string | Buffer)[] = [];
  takes = true;
  readonly #waiting: (() => void)[] = [];

  send(data: string | Uint8Array, done: () => void): void {
    this.sent.push(typeof data === 'string' ? data : Buffer.from(data));
    if (this.takes) done();
    else this.#waiting.push(done);
  }

  close(code: number): void {
    this.closed ??= code;
    this.gone();
  }

  terminate(): void {
    this.close(1006);
  }

  gone(): void {
    this.readyState = 3;
    for (const done of this.#waiting.splice(0)) done();
    this.emit('close');
  }

  ping(): void {
    this.pings += 1;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  get asSocket(): WebSocket {
    return this as unknown as WebSocket;
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function joined(t: TestContext, askAgain: () => void = () => {}, pty = new FakePty()) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const terminal = new Terminal('0123456789abcdef', pty, { columns: 80, rows: 24 });
  const socket = new FakeSocket();
  const closing = new AbortController();
  const attachment = terminal.attach({ as: 'write', after: undefined });
  const done = join(socket.asSocket, terminal, attachment, { closing: closing.signal, askAgain });
  return { pty, terminal, socket, closing, done, look: () => t.mock.timers.tick(15_000) };
}

test('a client learns what it is attached to, gets the output unchanged, and learns how the program ended', async (t) => {
  const { pty, socket, done } = joined(t);
  const clef = Buffer.from('𝄞');
  pty.print(clef.subarray(0, 1), clef.subarray(1));
  await settled();
  pty.end(7);
  await done;
  const [attached, writer, ...others] = socket.sent;
  assert.deepEqual(JSON.parse(String(attached)), {
    type: 'attached',
    terminal: '0123456789abcdef',
    columns: 80,
    rows: 24,
    after: 0,
  });
  assert.deepEqual(JSON.parse(String(writer)), { type: 'writer', writes: true });
  const last = others.pop();
  assert.deepEqual(Buffer.concat(others as Buffer[]), clef);
  assert.deepEqual(JSON.parse(String(last)), { type: 'ended', exitCode: 7 });
  assert.equal(socket.closed, 1000);
});

test('input is passed on in order, and no more is read from the client while the terminal is busy', async (t) => {
  const { pty, socket } = joined(t);
  const go = Promise.withResolvers<void>();
  pty.write = async (bytes) => {
    pty.typed.push(Buffer.from(bytes));
    await go.promise;
  };
  for (const key of ['a', 'b']) socket.emit('message', Buffer.from(key), true);
  socket.emit('message', Buffer.from('{"type":"resize","columns":100,"rows":30}'), false);
  await settled();
  assert.ok(socket.isPaused);
  assert.deepEqual([Buffer.concat(pty.typed).toString(), pty.sizes], ['a', []]);
  go.resolve();
  await settled();
  assert.ok(!socket.isPaused);
  assert.deepEqual(
    [Buffer.concat(pty.typed).toString(), pty.sizes],
    ['ab', [{ type: 'resize', columns: 100, rows: 30 }]],
  );
});

test('a terminal that fails to accept input ends only itself', async (t) => {
  const { pty, socket, done } = joined(t);
  pty.write = () => Promise.reject(new Error('read ECONNRESET'));
  socket.emit('message', Buffer.from('a'), true);
  await settled();
  assert.ok(!socket.isPaused);
  pty.end(7);
  await done;
  assert.equal(socket.closed, 1000);
});

test('a client that waits for the terminal does not count as silent', async (t) => {
  const { pty, socket, look } = joined(t);
  const go = Promise.withResolvers<void>();
  pty.write = () => go.promise;
  socket.emit('message', Buffer.from('a'), true);
  for (let i = 0; i < 8; i++) look();
  assert.equal(socket.closed, undefined);
  go.resolve();
  await settled();
  for (let i = 0; i < 5; i++) look();
  assert.equal(socket.closed, 1006);
});

for (const said of [
  '',
  '{',
  'null',
  '{"type":"resize","columns":0,"rows":24}',
  '{"type":"resize","columns":80}',
  '{"type":"x"}',
]) {
  test(`an invalid message closes the connection, and the terminal keeps running: ${said}`, async (t) => {
    const { pty, terminal, socket, done } = joined(t);
    socket.emit('message', Buffer.from(said), false);
    await done;
    assert.equal(socket.closed, 1008);
    assert.deepEqual([terminal.attached, pty.sizes, pty.isHungUp], [0, [], false]);
  });
}

test('a client that is silent for a minute is disconnected, and one that answers is not', async (t) => {
  const { terminal, socket, done, look } = joined(t);
  for (let i = 0; i < 8; i++) {
    look();
    socket.emit('pong');
  }
  assert.deepEqual([socket.pings, socket.closed], [8, undefined]);
  for (let i = 0; i < 5; i++) look();
  await done;
  assert.deepEqual([socket.closed, terminal.attached], [1006, 0]);
});

test('a client that reads nothing for a minute is disconnected, and the program keeps running', async (t) => {
  const { pty, terminal, socket, done, look } = joined(t);
  socket.takes = false;
  for (let i = 0; i < 20; i++) pty.print(Buffer.alloc(64 * 1024));
  await settled();
  assert.ok(pty.read < 20);
  for (let i = 0; i < 5; i++) look();
  await done;
  await settled();
  assert.deepEqual([pty.read, terminal.attached], [20, 0]);
});

test('a client whose token was replaced is disconnected, and the terminal keeps running', async (t) => {
  let isWrong = false;
  const { pty, socket, done, look } = joined(t, () => {
    if (isWrong) throw new Error('wrong');
  });
  look();
  assert.equal(socket.closed, undefined);
  isWrong = true;
  look();
  await done;
  assert.deepEqual([socket.closed, pty.isHungUp], [1008, false]);
});

test('later input of a disconnected client is dropped, however slowly it closes', async (t) => {
  const { pty, socket, look } = joined(t, () => {
    throw new Error('wrong');
  });
  socket.close = (code) => {
    socket.closed = code;
    socket.readyState = 2;
  };
  look();
  socket.emit('message', Buffer.from('a'), true);
  await settled();
  assert.deepEqual([socket.closed, pty.typed], [1008, []]);
});

test('a server that closes tells its clients', async (t) => {
  const { socket, closing, done } = joined(t);
  closing.abort();
  await done;
  assert.equal(socket.closed, 1001);
});

test('when a terminal is handed over, the client is told to come back, and what it still sends arrives', async (t) => {
  const { pty, terminal, socket, closing, done } = joined(t, undefined, new PassablePty());
  await settled();
  terminal.passOn(() => {});
  // A real socket closes when the client has answered.
  socket.gone = () => {
    socket.readyState = 2;
  };
  closing.abort();
  assert.equal(socket.closed, 1012);
  for (const key of ['a', 'b', 'c']) socket.emit('message', Buffer.from(key), true);
  await settled();
  assert.equal(Buffer.concat(pty.typed).toString(), 'abc');
  socket.emit('close');
  await done;
});

test('a client of a service that closes is told at once, even if it comes late', async () => {
  const pty = new PassablePty();
  const terminal = new Terminal('0123456789abcdef', pty, { columns: 80, rows: 24 });
  terminal.passOn(() => {});
  const socket = new FakeSocket();
  const attachment = terminal.attach({ as: 'write', after: undefined });
  await join(socket.asSocket, terminal, attachment, { closing: AbortSignal.abort(), askAgain: () => {} });
  assert.equal(JSON.parse(String(socket.sent[0])).type, 'attached');
  assert.equal(socket.closed, 1012);
});
