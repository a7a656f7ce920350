/** Faults during bury, and what must not be lost then. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { newContainerId } from '../../container/identity.ts';
import { askTcp } from '../support/callers.ts';
import { Chance } from '../support/chance.ts';
import { S3 } from '../support/s3.ts';
import { SEED } from '../support/seed.ts';
import { end, hostTwo, KILLED, running, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The number of bury runs that are killed, and the milliseconds after which one is complete. */
const CUT_OFF = 5;
const LONGEST_BURIAL = 2500;

test('a wait process that is not needed while a service runs exits with code 0', async () => {
  const site = new Site(host);
  const service = await site.start();
  const wait = site.run(['wait']);
  assert.equal(await wait.ended(), 0);
  assert.ok(wait.lines.some(({ msg }) => msg === 'another process hosts the containers of this host'));
  assert.ok(!wait.lines.some(({ level }) => level === 'fatal'), wait.log());
  assert.equal(await service.stop(), 0);
});

test('a bury run that is killed at any moment is continued by the next run', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const chance = new Chance(SEED);
  const site = new Site(host);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  for (let i = 0; i < CUT_OFF; i++) {
    const bury = site.run(['bury'], KILLED);
    await pause(chance.below(LONGEST_BURIAL));
    await bury.stop('SIGKILL');
  }
  await site.bury();
  assert.deepEqual(await running(host), [claimed]);
  await site.waits();
  await end(host, claimed);
  await site.over();
});

test('while Docker is away, bury fails with a message, and wait continues when Docker is back', async () => {
  const engine = join('/run/test', randomUUID());
  symlinkSync('/run/docker.sock', engine);
  const site = new Site(host, { DOCKER_HOST: `unix://${engine}` });
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  unlinkSync(engine);
  const bury = site.run(['bury'], KILLED);
  assert.equal(await bury.ended(), 1);
  assert.match(bury.other.join(), /Docker does not answer at .*; start Docker/);
  assert.ok(
    bury.lines.some(({ level }) => level === 'fatal'),
    'the crash is still reported',
  );
  await until('wait has tried', () => site.waitLog.includes('"docker.unavailable"'));
  symlinkSync('/run/docker.sock', engine);
  await site.waits();
  assert.deepEqual(await running(host), [claimed]);
  await end(host, claimed);
  await site.over();
  unlinkSync(engine);
});

test('if the wait unit cannot be started, bury says what to do, and the next bury run has containers waited for', async () => {
  const site = new Site(host);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  const bury = site.run(['bury', '--wait-unit', 'nowhere.service'], KILLED);
  assert.equal(await bury.ended(), 1);
  assert.match(bury.other.join(), /^the unit nowhere\.service, .* cannot be started; install it/);
  await site.bury();
  await site.waits();
  await end(host, claimed);
  await site.over();
});

test('bury leaves nothing of a container that the service had only begun to create', async () => {
  const site = new Site(host);
  await site.kill(await site.start());
  const id = newContainerId();
  const [page, own] = [join(site.runDirectory, 'ledger', id), join(site.root, 'fractal', id)];
  for (const path of [page, own]) mkdirSync(path);
  writeFileSync(join(page, '.facts.json'), '{"half');
  await site.bury();
  assert.ok(!existsSync(own));
  await site.over();
});

test('wait saves the files of a container that ends after its service was killed, and the next container gets them', async () => {
  await using s3 = await S3.open();
  const site = new Site(host, s3.settings);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  await site.bury();
  await site.waits();
  await end(host, claimed);
  await site.over();
  const next = await site.start();
  const { port } = await hostTwo(host, next);
  const { userConfig, visits } = await askTcp(port);
  assert.deepEqual([userConfig, visits], ['restored', 1]);
  assert.equal(await next.stop(), 0);
});

test('if a service crashes while S3 is away, what a user makes on a first visit reaches the next container, on any host', async () => {
  await using s3 = await S3.open();
  const site = new Site(host, s3.settings);
  const env = { ...s3.settings, ROOT: site.root };
  const service = await host.start({ env, entry: 'dying-service.ts', arguments: ['throw'] }).ready();
  await s3.turn('away');
  const { claimed, port } = await hostTwo(host, service);
  assert.equal((await askTcp(port)).userConfig, 'unavailable');
  assert.equal(await service.stop('SIGURG'), 1);
  await site.bury({ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '1' });
  await site.waits();
  await s3.turn('none');
  await end(host, claimed);
  await site.over();
  const next = await new Site(host, s3.settings).start();
  const { userConfig, visits } = await askTcp((await hostTwo(host, next)).port);
  assert.deepEqual([userConfig, visits], ['restored', 1]);
  assert.equal(await next.stop(), 0);
});

test('wait uploads the saves that were pending for S3 when the service was killed', async () => {
  await using s3 = await S3.open();
  const site = new Site(host, s3.settings);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  const id = await host.containerIdOf(claimed);
  await s3.turn('away');
  await end(host, claimed);
  await service.gone(id);
  await site.kill(service);
  await s3.turn('none');
  await site.bury();
  await site.over();
  assert.ok((await s3.keys()).some((key) => key.includes('/versions/')));
});

test('if a service fails to adopt a container, it leaves the container and its files for the next service', async () => {
  await using s3 = await S3.open();
  const site = new Site(host, s3.settings);
  const first = await site.start();
  const { claimed, port } = await hostTwo(host, first);
  const id = await host.containerIdOf(claimed);
  const file = join(site.root, 'fractal', id, 'userConfigs/unpacked_configs/work');
  writeFileSync(file, 'not saved yet');
  await site.kill(first);
  const failing = host.start({
    entry: 'dying-service.ts',
    arguments: ['taking-fails', 'tty'],
    env: { ...s3.settings, ROOT: site.root },
  });
  assert.equal(await failing.ended(), 1);
  assert.ok((await running(host)).includes(claimed));
  assert.ok(existsSync(file));
  const second = await site.start();
  assert.equal((await askTcp(port)).dpi, '96');
  assert.equal(await second.stop(), 0);
  assert.ok((await s3.keys()).some((key) => key.endsWith('.age')));
});
