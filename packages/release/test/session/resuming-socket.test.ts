/** The socket of a session with services that accept and hang up, or that do not accept. */

import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { ResumingSocket, type SocketOptions } from '../../src/session/resuming-socket.ts';
import type { Timers } from '../../src/session/timers.ts';

/** Pauses that only count. */
function countedPauses() {
  const pauses: number[] = [];
  const timers: Timers = {
    now: () => 0,
    schedule: (milliseconds, action) => {
      pauses.push(milliseconds);
      setImmediate(action);
      return () => {};
    },
  };
  return { pauses, timers };
}

async function failure(streamUrl: string, more: Partial<SocketOptions> = {}) {
  const { pauses, timers } = countedPauses();
  const { promise, resolve } = Promise.withResolvers<Error>();
  const ticket = { sessionId: 's', streamUrl, tokenValue: 't' };
  const nothing = () => {};
  const socket = new ResumingSocket({
    ...{ ticket, clientVersion: '1', timers, resume: async () => ticket },
    ...{ connected: nothing, disconnected: nothing, received: nothing, failed: resolve },
    ...more,
  });
  void socket.open();
  const error = await promise;
  await socket.closed();
  return { error, pauses };
}

test('after six connections that the service closes, no further one is tried', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  let asked = 0;
  server.on('connection', (socket) => {
    asked += 1;
    socket.close();
  });
  const { port } = server.address() as { port: number };
  const { error, pauses } = await failure(`ws://127.0.0.1:${port}/`);
  assert.match(error.message, /was lost repeatedly/);
  assert.equal(asked, 6);
  assert.deepEqual(pauses, [200, 400, 800, 1_600, 3_200]);
  server.close();
});

test('a service that cannot be reached is reported after six attempts', async () => {
  const { error, pauses } = await failure('ws://127.0.0.1:9/');
  assert.match(error.message, /cannot be reached: .*ECONNREFUSED.*ssmmessages on port 443/);
  assert.equal(pauses.length, 5);
});

test('a socket that opens while the session closes is closed too', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const ticket = { sessionId: 's', streamUrl: `ws://127.0.0.1:${port}/`, tokenValue: 't' };
  const nothing = () => {};
  const socket = new ResumingSocket({
    ...{ ticket, clientVersion: '1', timers: countedPauses().timers, failed: nothing },
    ...{ connected: nothing, disconnected: nothing, received: nothing },
  });
  const closeWhenOpen = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    request.once('upgrade', () => queueMicrotask(() => socket.close()));
  };
  const created = channel('http.client.request.created');
  created.subscribe(closeWhenOpen);
  const [[there]] = await Promise.all([once(server, 'connection'), socket.open()]);
  created.unsubscribe(closeWhenOpen);
  await socket.closed();
  if (there.readyState !== there.CLOSED) await once(there, 'close');
  server.close();
});
