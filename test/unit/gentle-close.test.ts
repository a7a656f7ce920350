/** The last answer of a connection arrives, whatever its client still sends. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { lingerUntilClose } from '../../lifetime/lingering-close.ts';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { sayThenRead } from '../support/late-reader.ts';
import { serveBoth } from '../support/starting-server.ts';

const MEGABYTE = 2 ** 20;
const START_VALUES = '/set_container_start_values';

async function open(t: TestContext) {
  const { port, path } = await serveBoth(t);
  return { https: { host: '127.0.0.1', port }, api: { path } };
}

function message(method: string, path: string, length: number, more = ''): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(length, 'x')]);
}

test('a client that sends all of a large or misdirected body first still receives the answer', async (t) => {
  const { https, api } = await open(t);
  const ask = async (to: NetConnectOpts, bytes: Buffer, status: number) => {
    const answer = await sayThenRead(to, bytes, to === https);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
  };
  for (const length of [70_000, 200_000, 2 * MEGABYTE, 20 * MEGABYTE]) {
    for (let i = 0; i < 5; i += 1) {
      await ask(https, message('PUT', START_VALUES, length), 413);
      await ask(api, message('POST', '/v1/containers', length), 413);
      await ask(https, message('PUT', '/nowhere', length, 'Connection: close\r\n'), 404);
      await ask(https, Buffer.concat([Buffer.from('no HTTP\r\n\r\n'), Buffer.alloc(length)]), 400);
    }
  }
});

test('a client of the Docker proxy that sends all of a large body first still receives the answer', async () => {
  const handlerOf = () => () => async (exchange: { refuse(s: number, m: string): Promise<false> }) =>
    await exchange.refuse(400, 'no');
  await using bench = await ProxyBench.open({ handlerOf });
  for (let i = 0; i < 5; i += 1) {
    const bytes = message('POST', '/containers/create', 20 * MEGABYTE);
    assert.match(await sayThenRead({ path: bench.path }, bytes, false), /^HTTP\/1\.1 400 .*"no"/s);
  }
});

test('a client that sends without end after the last answer is disconnected', async (t) => {
  const { api } = await open(t);
  await using bench = await ProxyBench.open();
  for (const to of [api, { path: bench.path }]) {
    const client = connect({ ...to, allowHalfOpen: true });
    client.on('error', () => {});
    client.write('no HTTP\r\n\r\n');
    await once(client, 'data');
    const closed = new Promise((resolve) => client.once('close', resolve));
    const more = () => client.writable && client.write(Buffer.alloc(MEGABYTE), more);
    more();
    await closed;
  }
});

test('a connection that is closed already keeps no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  await using server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  const accepted = once(server, 'connection');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  const [socket] = (await accepted) as [Socket];
  socket.resume();
  await Promise.all([once(socket, 'close'), once(client, 'close')]);
  const before = timers();
  lingerUntilClose(socket);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  socket.end(() => resolve());
  await ended;
  assert.equal(timers(), before);
});
