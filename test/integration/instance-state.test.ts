import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { Ec2StandIn } from '../support/ec2.ts';
import { S3 } from '../support/s3.ts';
import { OWN_SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { KILLED, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';
import { METADATA, World } from '../support/world.ts';

let host: TestHost;
let world: World;
let ec2: Ec2StandIn;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await World.open();
  ec2 = await Ec2StandIn.open();
});
afterEach(async () => {
  await ec2[Symbol.asyncDispose]();
  await world.close();
  await host.finish();
});

const SECRET = { auth_secret: OWN_SECRET };

function start(env: Readonly<Record<string, string>>, ...fault: string[]): ServiceProcess {
  return host.start({
    env: { ...world.settings, ...ec2.settings, APP_ENV: 'localdev', ...env },
    ...(fault.length > 0 && { entry: 'dying-service.ts', arguments: fault }),
  });
}

/** A service whose instance is tagged as running. */
async function startRunning(env: Readonly<Record<string, string>>, ...fault: string[]) {
  const service = await start(env, ...fault).ready();
  await service.message('EC2 accepted the request to tag this instance as running');
  return service;
}

function assertLetGoOfAll(service: ServiceProcess): void {
  assert.ok(!service.lines.some(({ handle }) => handle !== undefined), service.log());
}

test('a crashed service tags its instance with the cause before a container ends, and terminates it after the last one', async () => {
  const service = await startRunning({ ON_DEATH: 'terminate' }, 'throw');
  await hostContainer(service);
  const killedAt = Date.now();
  assert.equal(await service.stop('SIGURG'), 1);
  assert.deepEqual(ec2.story, ['running', 'dead because of thrown on purpose', 'TerminateInstances']);
  for (const { instances } of ec2.calls) assert.deepEqual(instances, [METADATA['instance-id']]);
  const at = (words: string) => Date.parse(String(service.lines.find(({ msg }) => msg === words)?.time));
  const [, dead = assert.fail(), terminated = assert.fail()] = ec2.calls;
  assert.ok(dead.at - killedAt < 2000, `it took ${dead.at - killedAt} ms`);
  assert.ok(dead.at <= at('container is ending'));
  assert.ok(terminated.at >= at('container is gone'));
  assertLetGoOfAll(service);
});

test('with ON_DEATH=tag, a crashed service tags its instance and does not terminate it', async () => {
  const service = await startRunning({ ON_DEATH: 'tag' }, 'rejection');
  assert.equal(await service.stop('SIGURG'), 1);
  assert.deepEqual(ec2.story, ['running', 'dead because of rejected on purpose']);
});

test('an instance on which a container keeps running is not terminated', async () => {
  const service = await startRunning({ ON_DEATH: 'terminate' }, 'throw');
  const port = await host.hostPort(await hostContainer(service));
  await startValues(service, port, SECRET);
  await token(service, port);
  assert.equal(await service.stop('SIGURG'), 1);
  assert.deepEqual(ec2.story, ['running', 'dead because of thrown on purpose']);
  await service.message('not terminating the instance, because something on it may still be needed');
  await host.abandon(service);
});

test('an instance on which user configs wait for S3 is not terminated', async () => {
  await using s3 = await S3.open();
  const service = await startRunning({ ON_DEATH: 'terminate', ...s3.settings }, 'throw');
  const dockerId = await hostContainer(service);
  const port = await host.hostPort(dockerId);
  await startValues(service, port, SECRET);
  await token(service, port);
  await s3.turn('away');
  await host.docker.getContainer(dockerId).kill();
  await service.message('container is gone');
  assert.equal(await service.stop('SIGURG'), 1);
  assert.deepEqual(ec2.story, ['running', 'dead because of thrown on purpose']);
  await host.abandon(service);
});

test('after a SIGKILL of the service, its instance is terminated once nothing on it is needed, and only after saves are in S3', async () => {
  await using s3 = await S3.open();
  const env = { ON_DEATH: 'terminate', ...s3.settings, ROOT: host.newRoot() };
  const service = await startRunning(env);
  const dockerId = await hostContainer(service);
  const port = await host.hostPort(dockerId);
  await startValues(service, port, SECRET);
  await token(service, port);
  await s3.turn('away');
  await host.docker.getContainer(dockerId).kill();
  await service.message('container is gone');
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  const bury = host.start({
    env: { ...world.settings, ...ec2.settings, APP_ENV: 'localdev', ...env, ...KILLED },
    arguments: ['bury'],
  });
  assert.equal(await bury.ended(), 0, bury.log());
  const dead = ['running', 'dead because of the service died: killed by SIGKILL'];
  assert.deepEqual(ec2.story, dead);
  await s3.turn('none');
  await ec2.call(({ action }) => action === 'TerminateInstances');
  assert.deepEqual(ec2.story, [...dead, 'TerminateInstances']);
  assert.ok((await s3.keys()).some((key) => key.includes('/versions/')));
  await until('wait has exited', () => !existsSync(join(env.ROOT, 'run/ecs-host-service')));
});

test('if the service fails to start, its instance is tagged as dead and not terminated', async () => {
  const service = start({ ON_DEATH: 'terminate' }, 'step-fails', 'containers');
  assert.equal(await service.ended(), 1);
  assert.deepEqual(ec2.story, ['dead because of containers fails on purpose']);
});

test('a second copy of the service neither tags nor terminates the instance of the first', async () => {
  const env = { ON_DEATH: 'terminate', ROOT: host.newRoot() };
  const first = await startRunning(env);
  const second = start({ ...env, LISTEN_PORT: '4679' });
  assert.equal(await second.ended(), 1);
  assert.deepEqual(ec2.story, ['running']);
  assert.equal(await first.stop(), 0);
  assert.deepEqual(ec2.story, ['running', 'stopped']);
});

test('an instance is tagged as draining and then as stopped, and is not terminated', async () => {
  const service = await startRunning({ ON_DEATH: 'terminate' });
  await hostContainer(service);
  service.child.kill('SIGUSR2');
  await ec2.call(({ tags }) => tags['ecs-host-service:state'] === 'draining');
  assert.equal(await service.stop(), 0);
  assert.deepEqual(ec2.story, ['running', 'draining', 'stopped']);
});

test('an EC2 that does not answer does not prevent a normal stop', async () => {
  await ec2.turn('hangs');
  const service = await start({ ON_DEATH: 'terminate' }).ready();
  await ec2.call(() => true);
  assert.equal(await service.stop(), 0);
  assert.match(service.log(), /EC2 did not tag this instance as stopped: .* allows ec2:CreateTags/);
  assertLetGoOfAll(service);
});

test('without ON_DEATH, nothing is requested from EC2, neither in life nor after a crash', async () => {
  const service = await start({}, 'throw').ready();
  await hostContainer(service);
  assert.equal(await service.stop('SIGURG'), 1);
  assert.equal(ec2.connections, 0);
});

test('a secret in the cause of a crash does not appear in the tag', async () => {
  const service = await startRunning({ ON_DEATH: 'tag' }, 'throw', 'WEBSERVER_AUTH_SECRET');
  assert.equal(await service.stop('SIGURG'), 1);
  assert.deepEqual(ec2.story, ['running', 'dead because of secret']);
});
