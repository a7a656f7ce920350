import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer } from '../support/callers.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('C3: a port that another program listens on is passed over, for its own protocol alone', async () => {
  const tcp = createServer().listen(32262, '127.0.0.1');
  const udp = createSocket('udp4').bind(32263, '127.0.0.1');
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const service = await host.start().ready();
  const dockerId = await hostContainer(service);
  assert.notEqual(await host.hostPort(dockerId, '32262/tcp'), 32262);
  assert.notEqual(await host.hostPort(dockerId, '32263/udp'), 32263);
  assert.equal(await host.hostPort(dockerId, '32273/tcp'), 32273);
  assert.equal(await service.stop(), 0);
  tcp.close();
  udp.close();
});

test('C3: a port that Docker finds taken is set aside and another one is tried', async () => {
  const service = await host.start({ entry: 'dying-service.ts', arguments: ['port-thief'] }).ready();
  const ports = [];
  for (let i = 0; i < 2; i++) ports.push(await host.hostPort(await hostContainer(service)));
  assert.ok(!ports.includes(32262), String(ports));
  const tries = service.lines.filter(({ msg }) => msg === 'trying other ports');
  assert.equal(tries.length, 1, 'the second one does not try it again');
  assert.match(String(tries[0]?.why), /another program took host port 32262/);
  assert.equal(await service.stop(), 0);
});

test('the port of the service itself and reserved ones are given to nobody', async () => {
  const service = await host.start({ env: { LISTEN_PORT: '32262', RESERVED_PORTS: '32273,2375' } }).ready();
  const dockerId = await hostContainer(service);
  assert.notEqual(await host.hostPort(dockerId, '32262/tcp'), 32262);
  assert.notEqual(await host.hostPort(dockerId, '32273/tcp'), 32273);
  assert.equal(await service.stop(), 0);
});
