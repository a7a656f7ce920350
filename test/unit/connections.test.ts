import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { connectionsOf, limitConnections } from '../../httpserver/connections.ts';

interface Site {
  readonly server: Server;
  /** Opens a connection and sends bytes. Resolves when the server has received them. */
  open(address: string, says?: string): Promise<Socket>;
}

async function begin(
  t: TestContext,
  handle = (_: IncomingMessage, response: ServerResponse) => void response.end('done'),
) {
  const server = createServer(handle);
  limitConnections(server, connectionsOf(server), { all: 4, each: 2 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  const open = async (localAddress: string, says = '') => {
    const taken = once(server, 'connection');
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    sockets.push(socket);
    socket.on('error', () => {});
    await Promise.all([once(socket, 'connect'), taken]);
    socket.write(says);
    return socket;
  };
  return { server, open } satisfies Site;
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

async function isClosed(socket: Socket): Promise<boolean> {
  socket.resume();
  return socket.closed || (await once(socket, 'close').then(() => true));
}

/** @returns the answer to a request, or the end of the connection without one */
async function ask(socket: Socket): Promise<string> {
  socket.write(GET);
  const answered = once(socket, 'data').then(([bytes]) => String(bytes));
  return await Promise.race([answered, once(socket, 'close').then(() => 'closed')]);
}

suite('connections', () => {
  test('if an address has too many connections, the one that has waited longest is closed', async (t) => {
    const { open } = await begin(t);
    const [first, second, third] = [
      await open('127.0.0.2'),
      await open('127.0.0.2'),
      await open('127.0.0.2'),
    ];
    assert.ok(await isClosed(first));
    for (const socket of [second, third]) assert.match(await ask(socket), /^HTTP\/1.1 200/);
  });

  test('if there are too many connections in all, the one that has waited longest is closed, whatever its address', async (t) => {
    const { open } = await begin(t);
    const first = await open('127.0.0.2', 'GET / HTTP/1.1\r\n');
    const others: Socket[] = [];
    for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.4'])
      others.push(await open(address));
    assert.ok(await isClosed(first));
    for (const socket of others) assert.match(await ask(socket), /^HTTP\/1.1 200/);
  });

  test("a connection's waiting time starts again when its client has been answered", async (t) => {
    const { open } = await begin(t);
    const [first, second] = [await open('127.0.0.2'), await open('127.0.0.2')];
    assert.match(await ask(first), /^HTTP\/1.1 200/);
    await open('127.0.0.2');
    assert.ok(await isClosed(second));
    assert.match(await ask(first), /^HTTP\/1.1 200/);
  });

  for (const [what, says] of [
    ['an unanswered request', GET],
    ['an upgrade', GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')],
  ] as const) {
    test(`a connection with ${what} is never closed to make room`, async (t) => {
      let finish = () => {};
      const { server, open } = await begin(t, (_, response) => {
        response.write('it begins');
        finish = () => response.end('it ends');
      });
      server.on('upgrade', (_: IncomingMessage, socket: Socket) => {
        finish = () => socket.end('it ends');
      });
      const busy = await open('127.0.0.2');
      const begun = once(server, says === GET ? 'request' : 'upgrade');
      busy.write(says);
      await begun;
      for (let i = 0; i < 10; i++) await open(`127.0.0.${2 + (i % 5)}`);
      let heard = '';
      busy.on('data', (bytes) => {
        heard += bytes;
      });
      finish();
      while (!heard.includes('it ends')) await once(busy, 'data');
    });
  }

  test('if all connections have unanswered requests, the new one is closed', async (t) => {
    const { server, open } = await begin(t, () => {});
    for (let i = 0; i < 2; i++) {
      const begun = once(server, 'request');
      await open('127.0.0.2', GET);
      await begun;
    }
    assert.ok(await isClosed(await open('127.0.0.2')));
  });

  test('a connection whose client does not finish its request, or does not read its answer, makes room', async (t) => {
    const { server, open } = await begin(t, (_, response) => void response.end(Buffer.alloc(64 * 2 ** 20)));
    const begun = once(server, 'request');
    const half = await open('127.0.0.2', GET.replace('\r\n\r\n', '\r\nContent-Length: 9\r\n\r\n{'));
    await begun;
    const deaf = await open('127.0.0.3');
    deaf.pause();
    const asked = once(server, 'request');
    deaf.write(GET);
    await asked;
    for (const address of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3']) await open(address);
    assert.ok(await isClosed(half));
    assert.ok(await isClosed(deaf));
  });
});
