/** What happens to a host that EC2 takes away, or may take away: outside localdev, with metadata at the real address. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { AutoScalingStandIn } from '../support/auto-scaling.ts';
import { host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { Metadata } from '../support/metadata.ts';
import { Operator } from '../support/operator.ts';
import { S3 } from '../support/s3.ts';
import { OWN_SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

/** This machine's clock is a month off, and EC2's is right. */
const AHEAD = 30 * 86_400_000;
const REBALANCE = '{"noticeTime": "2026-05-01T10:00:00Z"}';

let host: TestHost;
let world: World;
let metadata: Metadata;
let s3: S3;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await World.open({ metadata: false });
  metadata = await Metadata.open({ ahead: AHEAD });
  s3 = await S3.open();
});
afterEach(async () => {
  await s3[Symbol.asyncDispose]();
  await metadata.recorder.close();
  await world.close();
  await host.finish();
});

function start(root: string, more: Readonly<Record<string, string>> = {}, words: readonly string[] = []) {
  return host.start({ env: { ...world.settings, ...s3.settings, ROOT: root, ...more }, arguments: words });
}

/** A container with a user's file. */
async function inUse(service: ServiceProcess, root: string) {
  const dockerId = await hostContainer(service);
  const port = await host.hostPort(dockerId);
  assert.deepEqual(await startValues(service, port, { auth_secret: OWN_SECRET }), OK);
  assert.deepEqual(await token(service, port), OK);
  const id = await host.containerIdOf(dockerId);
  const own = join(root, 'fractal', id);
  writeFileSync(join(own, 'userConfigs/unpacked_configs/work'), 'of a user');
  return { dockerId, id, ending: join(own, 'containerResourceMappings/ending') };
}

const heartbeats = () => world.beats.filter(({ call }) => call === 'heartbeat');
const status = async (service: ServiceProcess) => (await service.get('/healthz')).status;
const saved = async () => (await s3.keys()).filter((key) => key.includes('/versions/')).length;

test('on a Spot interruption, the host drains and saves at once, and is done ten seconds before its moment', async () => {
  const root = host.newRoot();
  const service = await start(root).ready();
  const operator = new Operator(root);
  const { ending } = await inUse(service, root);
  using events = await operator.follow();
  await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
  assert.equal(await saved(), 0);
  const { said, at } = metadata.takeAfter(50_000);
  await world.webserver.request(({ body }) => JSON.parse(body).IsDraining === 'True');
  assert.equal(await status(service), 503);
  await until('a checkpoint has reached S3', async () => (await saved()) > 0);
  await until('its programs are notified', () => existsSync(ending));
  const moment = new Date(said).toISOString();
  assert.equal(readFileSync(ending, 'utf8'), moment);
  const { body } = await operator.get('/v1/host');
  assert.equal(body.state, 'draining');
  const [{ since, ...notice }] = body.notices;
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 30_000);
  assert.deepEqual(notice, { kind: 'spot', what: 'terminate', at: moment, action: 'end' });
  writeFileSync(join(ending, '../../userConfigs/unpacked_configs/later'), 'of a user');

  await events.until(({ code }) => code === 'ec2-notice');
  assert.equal(await service.ended(), 0);
  const last = heartbeats().at(-1);
  assert.equal(last?.fields.IsDyingHeartbeat, 'True');
  assert.ok(at - 10_000 - last.at > 0, `the last heartbeat came ${at - last.at} ms before`);
  assert.ok(at - Date.now() > 0);
  const end = service.lines.find(({ to }) => to === 'ending');
  assert.equal(end?.code, 'ec2-notice');
  assert.ok(at - Date.parse(String(end.time)) < 40_000, 'users got all of the remaining time');
  assert.ok(service.lines.some(({ msg, bytes }) => msg === 'stored a user config' && Number(bytes) > 0));
  assert.deepEqual(
    events.notices.map(({ code }) => code),
    ['notice'],
  );
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

test('a withdrawn notice is reported, and the host accepts containers again', async () => {
  const root = host.newRoot();
  const service = await start(root).ready();
  await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
  const { ending, dockerId, id } = await inUse(service, root);
  metadata.say('rebalance', REBALANCE);
  metadata.takeAfter(600_000);
  await until('the host drains', async () => (await status(service)) === 503);
  await until('its programs are notified', () => existsSync(ending));
  metadata.say('spot', undefined);
  await until('its programs are notified that the host stays', () => !existsSync(ending));
  assert.equal(await status(service), 503, 'a recommendation is still in force');
  metadata.say('rebalance', undefined);
  await until('the host accepts containers', async () => (await status(service)) === 200);
  await until('the webserver is notified', () => heartbeats().at(-1)?.fields.IsDraining === undefined);
  assert.deepEqual((await new Operator(root).get('/v1/host')).body.notices, []);
  const codes = service.lines.flatMap(({ code }) => (String(code).startsWith('notice') ? [code] : []));
  assert.deepEqual(codes, ['notice', 'notice', 'notice-withdrawn', 'notice-withdrawn']);
  const other = await hostContainer(service);
  await host.docker.getContainer(other).kill();
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
  assert.equal(await service.stop(), 0);
});

test("the lifecycle hook is extended while a container is in use, and completed when its user's files are saved", async () => {
  await using group = await AutoScalingStandIn.open();
  const root = host.newRoot();
  const service = await start(root, group.settings).ready();
  const { dockerId, id } = await inUse(service, root);
  metadata.say('scale-in', 'Terminated');
  await group.asked('Record hosts save-users');
  assert.equal(await status(service), 503);
  const list = start(root, {}, ['ps']);
  assert.equal(await list.ended(), 0);
  assert.equal(list.other.at(-1), 'EC2 has given notice of this host: scale-in, terminate (drain).');
  assert.ok(!group.story.some((one) => one.startsWith('Complete')));
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
  await group.asked('Complete hosts save-users');
  assert.ok((await saved()) > 0);
  assert.equal(await service.stop(), 0);
  assert.equal(group.story.filter((one) => one.startsWith('Complete')).length, 1);
});

test('a notice that is in force at the start stops the service before it accepts a container', async () => {
  metadata.takeAfter(-30_000);
  const root = host.newRoot();
  const service = start(root);
  assert.equal(await service.ended(), 0);
  assert.ok(service.lines.some(({ code }) => code === 'notice'));
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

test("wait obeys a notice that comes while the service is dead, and saves the users' files", async () => {
  const root = host.newRoot();
  const service = await start(root).ready();
  const { id } = await inUse(service, root);
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  const waits = start(root, {}, ['wait']);
  await waits.message('adopted a container of a crashed service');
  assert.equal(await saved(), 0);
  metadata.takeAfter(2000);
  assert.equal(await waits.ended(), 0, waits.log());
  assert.ok((await saved()) > 0);
  const end = waits.lines.find(({ to, container }) => to === 'ending' && container === id);
  assert.equal(end?.code, 'ec2-notice');
  assert.ok(!existsSync(pathsBelow(root).run), 'nothing is left to wait for');
});

test('failing metadata changes nothing, and in localdev nobody requests notices', async () => {
  const root = host.newRoot();
  const service = await start(root).ready();
  await until('the service requests notices', () => metadata.looks >= 1);
  metadata.recorder.fault = '500';
  const before = metadata.looks;
  await until('the service requests notices repeatedly', () => metadata.looks >= before + 2);
  assert.equal(await status(service), 200);
  assert.ok(
    !service.lines.some(({ level, msg }) => level !== 'debug' && msg.includes('notices')),
    service.log(),
  );
  assert.equal(await service.stop(), 0);
  metadata.recorder.fault = undefined;
  const looks = metadata.looks;
  const local = await start(host.newRoot(), { APP_ENV: 'localdev' }).ready();
  await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
  assert.equal(metadata.looks, looks);
  assert.equal(await local.stop(), 0);
});
