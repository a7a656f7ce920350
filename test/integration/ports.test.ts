import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import { end, Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('C3: a port that another program listens on is skipped, for its protocol only', async () => {
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

test('C3: a port that Docker finds taken is set aside, and another one is tried', async () => {
  const service = await host.start({ entry: 'dying-service.ts', arguments: ['port-thief'] }).ready();
  const ports = [];
  for (let i = 0; i < 2; i++) ports.push(await host.hostPort(await hostContainer(service)));
  assert.ok(!ports.includes(32262), String(ports));
  const tries = service.lines.filter(({ msg }) => msg === 'trying other ports');
  assert.equal(tries.length, 1, 'the second container does not try it again');
  assert.match(String(tries[0]?.why), /another program took host port 32262/);
  assert.equal(await service.stop(), 0);
});

test("no container gets the service's own port or a reserved one", async () => {
  const service = await host.start({ env: { LISTEN_PORT: '32262', RESERVED_PORTS: '32273,2375' } }).ready();
  const dockerId = await hostContainer(service);
  assert.notEqual(await host.hostPort(dockerId, '32262/tcp'), 32262);
  assert.notEqual(await host.hostPort(dockerId, '32273/tcp'), 32273);
  assert.equal(await service.stop(), 0);
});

const LABEL = ['--label', 'ecs-host-service.interactive=true'];

/** Docker's command line at a service's proxy. */
function cliOf(site: Site): DockerCli {
  return new DockerCli(join(site.runDirectory, 'docker.sock'));
}

test('a port that the maker chose can be bound to several addresses, and stays held after a crash', async () => {
  const site = new Site(host);
  const service = await site.start();
  const cli = cliOf(site);
  const twice = ['-p', '127.0.0.1:8080:80', '-p', '[::1]:8080:80'];
  const dockerId = await cli.ok('run', '-d', ...LABEL, ...twice, IMAGE);
  const port = await host.hostPort(dockerId);
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
  await site.kill(service);
  const next = await site.start();
  const refused = await cli.fails('create', ...LABEL, '-p', '8080:80', IMAGE);
  assert.match(refused, /host port 8080\/tcp is held by another container/);
  await end(host, dockerId);
  await next.gone(await host.containerIdOf(dockerId));
  await cli.ok('rm', dockerId);
  assert.equal(await next.stop(), 0);
});

test("a container in another one's network holds their port for its whole life, whichever ends first", async () => {
  await importShell(host.docker);
  const site = new Site(host);
  const service = await site.start();
  const cli = cliOf(site);
  // Not one of the service's ports, like that of a task with Service Connect.
  const task = ['--label', 'com.amazonaws.ecs.task-arn=arn:task/1'];
  const pause = ['--name', 'pause', ...task, '-p', '20500:32262', SHELL];
  await new DockerCli('/run/docker.sock').ok('run', '-d', ...pause);
  const sharing = [...task, '--network', 'container:pause', IMAGE];
  const dockerId = await cli.ok('run', '-d', ...LABEL, ...sharing);
  const refused = await cli.fails('run', '-d', ...LABEL, ...sharing);
  assert.match(refused, /host port 20500\/tcp is held by another container/);
  assert.deepEqual(await startValues(service, 20_500), OK);
  assert.deepEqual(await token(service, 20_500), OK);
  await cli.ok('rm', '-f', 'pause');

  const portOfNext = async () => {
    const next = await cli.ok('run', '-d', '--rm', ...LABEL, '-p', '20500:32262', IMAGE);
    const port = await host.hostPort(next);
    await cli.ok('stop', next);
    return port;
  };
  assert.notEqual(await portOfNext(), 20_500);
  await site.kill(service);
  const second = await site.start();
  assert.notEqual(await portOfNext(), 20_500);
  await end(host, dockerId);
  await second.gone(await host.containerIdOf(dockerId));
  await cli.ok('rm', dockerId);
  assert.equal(await portOfNext(), 20_500);
  assert.equal(await second.stop(), 0);
});

test('no second container can share the network of a hosted one', async () => {
  const site = new Site(host);
  const service = await site.start();
  const cli = cliOf(site);
  const dockerId = await cli.ok('run', '-d', '--rm', '--name', 'one', ...LABEL, '-p', '20500:32262', IMAGE);
  const refused = await cli.fails('run', '-d', ...LABEL, '--network', 'container:one', IMAGE);
  assert.match(refused, /host port 20500\/tcp is held by another container/);
  assert.deepEqual(await startValues(service, 20_500), OK);
  await cli.ok('stop', dockerId);
  assert.equal(await service.stop(), 0);
});
