import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { host as hostContainer, OK, startValues } from '../support/callers.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
let service: ServiceProcess;
before(async () => {
  host = await TestHost.open();
  service = await host.start().ready();
});
after(async () => {
  assert.equal(await service.stop(), 0);
  await host.finish();
  await host[Symbol.asyncDispose]();
});

async function tls(): Promise<Socket> {
  const socket = connectTls({ host: '127.0.0.1', port: service.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}

/** Resolves when the service has closed the connection. Its limits are 10 s, and 30 s for a whole request. */
async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(60_000) });
}

test('S15: connections that only wait are closed, and the service keeps serving', async () => {
  const connections = await Promise.all([
    Promise.resolve(connectTcp({ host: '127.0.0.1', port: service.port })),
    tls(),
    tls().then((socket) => socket.write('PUT /set_container_start_values HTTP/1.1\r\nHost: x\r\n') && socket),
    tls().then(
      (socket) =>
        socket.write('PUT /set_container_start_values HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{') &&
        socket,
    ),
  ]);
  const port = await host.hostPort(await hostContainer(service));
  assert.deepEqual(await startValues(service, port), OK);
  for (const socket of connections) await closed(socket as Socket);
});

test('connections that only wait do not prevent the service from ending', async () => {
  const other = await host.start({ env: { LISTEN_PORT: '4680' } }).ready();
  const silent = connectTcp({ host: '127.0.0.1', port: 4680 });
  const idle = connectTls({ host: '127.0.0.1', port: 4680, rejectUnauthorized: false });
  await Promise.all([once(silent, 'connect'), once(idle, 'secureConnect')]);
  const both = Promise.all([closed(silent), closed(idle)]);
  assert.equal(await other.stop(), 0);
  await both;
});

test('S16: a body without an end is refused once it is too large', async () => {
  const socket = await tls();
  socket.write('PUT /set_config_encryption_token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  socket.write(chunk);
  socket.write(chunk);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  assert.match(String(answer), /^HTTP\/1\.1 413 /);
});

test('bytes that are not an HTTP request are answered and the connection is closed', async () => {
  const socket = await tls();
  socket.write('\0\0 garbage \r\n\r\n');
  const [answer] = await once(socket, 'data');
  await closed(socket);
  assert.match(String(answer), /^HTTP\/1\.1 400 Bad Request\r\n.*Malformed request\n$/s);
});
