/** The graceful end of a server: which clients it waits for. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type FastifyInstance, fastify } from 'fastify';
import { BELOW, LIMITS } from '../../httpserver/app.ts';
import { connectionsOf } from '../../httpserver/connections.ts';
import { closeGently } from '../../httpserver/gentle-close.ts';
import { close, seenClosed, socketsOf } from '../../httpserver/listening.ts';
import { makeCertificate } from '../../httpserver/self-signed-certificate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const HALF_HEAD = 'GET / HTTP/1.1\r\nHost:';
const HALF_BODY = 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{';

/** A server whose answers wait until the test releases them. */
function served(t: TestContext, app: FastifyInstance) {
  closeGently(app.server);
  const go = Promise.withResolvers<string>();
  const answered = Promise.withResolvers<void>();
  app.get('/', { onResponse: async () => answered.resolve() }, () => go.promise);
  app.put('/', async () => 'no client completes this request');
  const [sockets, connections] = [socketsOf(app.server), connectionsOf(app.server)];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  /** Resolves when the server has seen this event of the client. */
  const seen = async (event: string, client: Socket, says = '') => {
    const happened = once(app.server, event);
    client.on('error', () => {});
    t.after(() => client.destroy());
    client.write(says);
    await happened;
    return client;
  };
  const answer = () => {
    go.resolve('done');
    return answered.promise;
  };
  return { app, sockets, connections, closing: new AbortController(), seen, answer };
}

type Served = ReturnType<typeof served>;

/** Closes the server while somebody waits for an answer, and others have asked for nothing. */
async function closeBusy(t: TestContext, server: Served, busy: Socket, unused: readonly Socket[]) {
  const closed = unused.map((client) => once(client, 'close', { signal: AbortSignal.timeout(10_000) }));
  for (const client of unused) client.resume();
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const over = close(server);
  t.mock.timers.tick(200);
  assert.equal(server.sockets.size, unused.length + 1, 'a client has a moment to complete its request');
  t.mock.timers.tick(100);
  await Promise.all(closed);
  assert.equal(server.sockets.size, 1);
  const answer = text(busy);
  await server.answer();
  t.mock.timers.tick(20);
  assert.match(await answer, /^HTTP\/1\.1 200 .*done$/s);
  await over;
  assert.equal(seenClosed(server), 'closed, and no connection is left');
}

test('a unix server that closes waits for answers, and only a moment for clients without a complete request', async (t) => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'closing-'));
  const path = join(directory.path, 'api.sock');
  const server = served(t, fastify({ ...LIMITS, http: BELOW }) as FastifyInstance);
  await server.app.listen({ path });
  const busy = await server.seen('request', connect(path), GET);
  await closeBusy(t, server, busy, [
    await server.seen('connection', connect(path)),
    await server.seen('connection', connect(path), HALF_HEAD),
    await server.seen('request', connect(path), HALF_BODY),
  ]);
});

test('an HTTPS server that closes waits for answers, and only a moment for clients without a complete request', async (t) => {
  const pair = await makeCertificate(['127.0.0.1'], new Date(Date.now() + 60_000));
  const server = served(
    t,
    fastify({ ...LIMITS, https: { ...BELOW, ...pair } }) as unknown as FastifyInstance,
  );
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  const to = { host: '127.0.0.1', port: (server.app.server.address() as AddressInfo).port };
  const tls = () => connectTls({ ...to, rejectUnauthorized: false });
  const busy = await server.seen('request', tls(), GET);
  await closeBusy(t, server, busy, [
    await server.seen('connection', connect(to)),
    await server.seen('secureConnection', tls()),
    await server.seen('secureConnection', tls(), HALF_HEAD),
    await server.seen('request', tls(), HALF_BODY),
  ]);
});
