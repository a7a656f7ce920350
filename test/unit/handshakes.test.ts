/** Refused handshakes: their clients get an answer, and cannot keep the connection open. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fastify } from 'fastify';
import { BELOW, LIMITS } from '../../httpserver/app.ts';
import { socketsOf } from '../../httpserver/listening.ts';
import { Handshakes } from '../../httpserver/v1/handshakes.ts';

const HANDSHAKE = 'GET /b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** A server whose answers wait until the test releases them, and a client that never ends its own side. */
async function open(t: TestContext) {
  const app = fastify({ ...LIMITS, http: BELOW });
  new Handshakes(app);
  const asked: string[] = [];
  const go = Promise.withResolvers<void>();
  app.setNotFoundHandler(async ({ url }, reply) => {
    asked.push(url);
    await go.promise;
    return reply.code(401).send('no');
  });
  const sockets = socketsOf(app.server);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  // The connection may be reset.
  client.on('error', () => {});
  t.after(async () => {
    client.destroy();
    for (const socket of sockets) socket.destroy();
    await app.close();
  });
  const [[connection]] = await Promise.all([once(app.server, 'connection'), once(client, 'connect')]);
  return { asked, client, connection: connection as Socket, answer: () => go.resolve() };
}

async function closed(connection: Socket): Promise<void> {
  if (!connection.closed) await once(connection, 'close', { signal: AbortSignal.timeout(10_000) });
}

test('a client whose WebSocket is refused gets an answer and cannot keep the connection open', async (t) => {
  const { client, connection, answer } = await open(t);
  client.write(HANDSHAKE);
  answer();
  const [answered] = await once(client, 'data');
  assert.match(String(answered), /^HTTP\/1\.1 401 .*connection: close/is);
  await closed(connection);
});

test('a client whose WebSocket is refused cannot keep the connection open by sending more', async (t) => {
  const { client, connection, answer } = await open(t);
  client.write(HANDSHAKE + 'x'.repeat(300_000));
  answer();
  await closed(connection);
});

test('a client that requests a WebSocket before its previous request is answered loses only its own connection', async (t) => {
  const { asked, client, connection, answer } = await open(t);
  client.write(`GET /a HTTP/1.1\r\nHost: x\r\n\r\n${HANDSHAKE}`);
  await closed(connection);
  assert.deepEqual(asked, ['/a']);
  answer();
  await turn();
});
