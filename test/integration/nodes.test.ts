/** Managed nodes from a file, with the real Docker and the test's own registry. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { findCloud } from '../../src/doctor/cloud-checks.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { askForMetrics } from '../support/metrics.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';
import { Receiver } from '../support/receiver.ts';
import { Registry } from '../support/registry.ts';
import { REGISTRY_PASSWORD } from '../support/secrets.ts';

const { host, registry } = await hostForNodes();

/** Half a second is enough to see that a script does not exit at once. */
const QUICK = { healthyAfter: 0.5 };

test('a host without interactive containers starts the nodes in its file, keeps them during a restart of the service, and removes those that leave the file', async () => {
  const site = new NodeSite(host);
  mkdirSync('/run/test/shared', { recursive: true });
  const image = registry.addScript('whole', RUNS);
  const web: NodeSpec = {
    name: 'web',
    image,
    type: 'http',
    environment: { GREETING: 'hello world' },
    labels: { team: 'a' },
    ports: [{ containerPort: 80, hostPort: 18_080, hostAddress: '127.0.0.1' }],
    mounts: [
      { source: '/run/test/shared', target: '/shared' },
      { target: '/data' },
      { source: 'named', target: '/named' },
    ],
    limits: { memory: '64MiB', cpus: 0.5, pids: 50 },
    loggingLevel: 'DEBUG',
    update: QUICK,
  };
  site.write([web, { name: 'other', image, update: QUICK }]);
  let service = await site.start();
  await site.until('web', 'running');
  await site.until('other', 'running');
  assert.deepEqual(await site.names(), ['other', 'web']);
  const { Id, Config, HostConfig, Image, State, NetworkSettings } = await site.inspect('web');
  const { RepoDigests } = await host.docker.getImage(image).inspect();
  assert.ok(RepoDigests.includes(Config.Image), 'its image is pinned');
  assert.deepEqual([Config.Hostname, Config.Labels.team], ['web', 'a']);
  assert.ok(Config.Env.includes('GREETING=hello world') && Config.Env.includes('LOGGING_LEVEL=DEBUG'));
  assert.equal(HostConfig.RestartPolicy?.Name, 'unless-stopped');
  assert.deepEqual([HostConfig.Memory, HostConfig.NanoCpus, HostConfig.PidsLimit], [64 * 2 ** 20, 5e8, 50]);
  assert.deepEqual(HostConfig.PortBindings, { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '18080' }] });
  assert.deepEqual(Object.keys(NetworkSettings.Networks), ['demo']);
  assert.ok(Image);
  const { body } = await site.operator.get('/v1/nodes');
  assert.deepEqual([body.app, body.locked, body.feed], ['demo', false, site.file]);
  assert.deepEqual((await site.operator.get('/v1/nodes/plan')).body, { steps: [] });
  const file = JSON.stringify({ app: 'demo', nodes: [] });
  const dryRun = await site.operator.ask('POST', '/v1/nodes/plan', { file });
  const steps: { readonly do: string }[] = dryRun.body.steps;
  assert.deepEqual(new Set(steps.map((step) => step.do)), new Set(['stop', 'remove']));
  assert.deepEqual((await site.operator.get('/v1/nodes/plan')).body, { steps: [] }, 'it was not used');
  const refused = await site.operator.ask('POST', '/v1/containers', { image, app: 'x', pull: 'never' });
  assert.deepEqual([refused.status, refused.body.title], [409, 'service.nodes_alone']);

  assert.equal(await service.stop(), 0);
  assert.equal((await site.inspect('web')).State.StartedAt, State.StartedAt, 'it runs on');
  service = await site.start();
  await site.until('web', 'running');
  const again = await site.inspect('web');
  assert.deepEqual([again.Id, again.State.StartedAt], [Id, State.StartedAt], 'it is left alone');
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  service = await site.start();
  await site.until('web', 'running');
  assert.equal((await site.inspect('web')).Id, Id);

  site.write([{ name: 'other', image, stopped: true, update: QUICK }]);
  await site.until('web', 'unknown');
  await site.until('other', 'stopped');
  assert.equal((await site.inspect('other')).State.Running, false);
  assert.deepEqual(await site.names(), ['other']);
  const { Volumes } = await host.docker.listVolumes();
  assert.equal(Volumes.length, 2, 'volumes stay');
  site.write([]);
  await site.until('other', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('an image whose container exits is rolled back with the reason, and a later good image is rolled out', async () => {
  const site = new NodeSite(host);
  const good = registry.addScript('good', RUNS);
  const bad = registry.addScript('bad', 'echo cannot read its config; exit 7');
  const web = { name: 'web', image: good, ports: [{ containerPort: 80, hostPort: 18_081 }], update: QUICK };
  site.write([web]);
  const service = await site.start();
  await site.until('web', 'running');
  const { Id } = await site.inspect('web');
  site.write([{ ...web, image: bad }]);
  const { rejected, cause } = await site.until('web', 'reverted');
  assert.equal(cause, 'the new container was rejected: it exited with code 7');
  assert.deepEqual([rejected.exitCode, rejected.lastLines], [7, ['cannot read its config']]);
  const { Id: current, State } = await site.inspect('web');
  assert.deepEqual([current, State.Running], [Id, true]);
  assert.deepEqual(await site.names(), ['web']);
  site.write([{ ...web, image: good, environment: { NEXT: 'yes' } }]);
  await site.until('web', 'running');
  const { Id: newest } = await site.inspect('web');
  assert.notEqual(newest, Id);
  assert.deepEqual(await site.names(), ['web']);
  const { receipts } = (await site.operator.get('/v1/nodes/web/receipts')).body;
  assert.deepEqual(
    receipts.map((one: Record<string, unknown>) => [one.cause, one.exitCode === 7, one.successor]),
    [
      ['the new container was accepted', false, newest],
      ['it was rejected', true, Id],
    ],
  );
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('a failing health check rolls the node back, and a node without fixed ports runs without interruption', async () => {
  const site = new NodeSite(host);
  const good = registry.addScript('checked', RUNS, 'true');
  const sick = registry.addScript('sick', RUNS, 'echo out of order; false');
  site.write([{ name: 'web', image: good }]);
  const service = await site.start();
  await site.until('web', 'running');
  const { Id, State } = await site.inspect('web');
  site.write([{ name: 'web', image: sick }]);
  const { rejected } = await site.until('web', 'reverted');
  assert.equal(rejected.why, 'its health check failed');
  assert.equal((await site.inspect(Id)).State.StartedAt, State.StartedAt, 'the old one was never stopped');
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test("containers that others made are left alone, even with a node's name or from a node's image", async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('strange', RUNS);
  site.write([{ name: 'web', image, update: QUICK }]);
  let service = await site.start();
  await site.until('web', 'running');
  await host.docker.getContainer('web').commit({ repo: 'copy', tag: '1' });
  site.write([]);
  await site.until('web', 'unknown');
  const strangers = await Promise.all(
    [{ name: 'web' }, { name: 'bystander' }].map(({ name }) =>
      host.docker.createContainer({ name, Image: 'copy:1' }),
    ),
  );
  for (const one of strangers) await one.start();
  const facts = async () =>
    Promise.all(
      strangers.map(async ({ id }) => {
        const { Name, State } = await site.inspect(id);
        return [Name, State.StartedAt, State.Running];
      }),
    );
  const before = await facts();
  site.write([
    { name: 'web', image, update: QUICK },
    { name: 'mine', image, update: QUICK },
  ]);
  await site.until('web', 'blocked', /belongs to a container that this service did not make/);
  await site.until('mine', 'running');
  assert.equal(await service.stop(), 0);
  service = await site.start();
  await site.until('web', 'blocked');
  site.write([]);
  await site.until('mine', 'unknown');
  assert.deepEqual(await facts(), before);
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('an invalid file of nodes changes nothing, and the error says where it is wrong', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('kept', RUNS);
  site.write([{ name: 'web', image, update: QUICK }]);
  const service = await site.start({ NODES_ON_STOP: 'stop' });
  await site.until('web', 'running');
  const errorOf = async (text: string) => {
    site.writeText(text);
    for (;;) {
      const { body } = await site.operator.get('/v1/nodes');
      if (body.feedError !== undefined) return body.feedError as string;
    }
  };
  assert.match(await errorOf('app: demo\nnodes:\n  - name: web\n  image: x'), /line 4/);
  site.write([{ name: 'web', image, update: QUICK }]);
  await service.line(({ msg, nodes }) => msg === 'the feed wants these nodes' && nodes === 1);
  assert.equal((await site.view('web')).state, 'running');
  assert.equal(await service.stop(), 0);
  assert.equal((await site.inspect('web')).State.Running, false, 'NODES_ON_STOP is stop');
  await site.clear();
});

test("after a rollout, only the latest images of the node's repository are kept", async () => {
  const site = new NodeSite(host);
  const images = [1, 2, 3, 4].map((number) =>
    registry.addScript('rolled', `${RUNS} # ${number}`, undefined, `v${number}`),
  );
  site.write([{ name: 'web', image: images[0] ?? '', update: QUICK }]);
  const service = await site.start({ NODES_KEEP_IMAGES: '2' });
  await site.until('web', 'running');
  for (const image of images.slice(1)) {
    const { Id } = await site.inspect('web');
    site.write([{ name: 'web', image, update: QUICK }]);
    while ((await site.view('web')).container === Id) await site.until('web', 'running');
    await site.until('web', 'running');
  }
  await service.line(({ msg }) => msg === 'removed an old image of a node');
  const left = async () =>
    (await host.docker.listImages()).filter(({ RepoDigests }) =>
      RepoDigests?.some((one) => one.includes('/rolled@')),
    );
  while ((await left()).length > 2) await site.view('web');
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal((await left()).length, 2);
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('a node from a registry with a password starts once the file of credentials has them', async () => {
  const user = { username: 'puller', password: REGISTRY_PASSWORD };
  await using locked = await Registry.open(user);
  const image = locked.addScript('secret', RUNS);
  const site = new NodeSite(host);
  const file = `${site.root}-auth.json`;
  const write = (auths: object) => writeFileSync(file, JSON.stringify({ auths }), { mode: 0o600 });
  write({});
  site.write([{ name: 'web', image, update: QUICK }]);
  const service = await site.start({ REGISTRY_AUTH_FILE: file });
  const { lastError } = await site.until('web', 'backoff');
  assert.match(lastError, /could not be pulled|shows no image/);
  const settings = { NODES_FEED: 'file', DOCKER_HOST: '/run/docker.sock', REGISTRY_AUTH_FILE: file } as const;
  const doctor = async () => (await findCloud(settings, { images: [image] })).map(({ grade }) => grade);
  assert.deepEqual(await doctor(), ['error']);
  const auth = Buffer.from(`${user.username}:${user.password}`).toString('base64');
  write({ [image.split('/', 1)[0] ?? '']: { auth } });
  assert.deepEqual(await doctor(), ['ok']);
  await site.until('web', 'running');
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('systemd and Prometheus are told how many nodes run', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('told', RUNS);
  site.write([
    { name: 'web', image, update: QUICK },
    { name: 'idle', image, stopped: true },
  ]);
  await using receiver = await Receiver.open('/run/test/notify');
  const service = await site.start({ NOTIFY_SOCKET: '/run/test/notify' });
  await receiver.until('STATUS=1 of 2 nodes run');
  const number = await askForMetrics(site.root);
  const counts = ['running', 'stopped', 'failed'].map((state) => number('nodes', JSON.stringify({ state })));
  assert.deepEqual(counts, [1, 1, 0]);
  site.write([]);
  await site.until('web', 'unknown');
  await receiver.until('STATUS=0 of 0 nodes run');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('a lock defers updates but no restart', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('locked', RUNS);
  site.write([{ name: 'web', image, update: QUICK }]);
  const service = await site.start();
  await site.until('web', 'running');
  const { Id, State } = await site.inspect('web');
  assert.deepEqual((await site.operator.ask('PUT', '/v1/nodes/lock', { locked: true })).body, {
    locked: true,
  });
  site.write([{ name: 'web', image, environment: { A: 'b' }, update: QUICK }]);
  await site.until('web', 'running', /deferred by a lock/);
  await site.operator.ask('POST', '/v1/nodes/web/restart');
  await service.line(({ msg, cause }) => msg === 'node' && cause === 'asked to restart');
  await site.until('web', 'running', /deferred by a lock/);
  const restarted = await site.inspect('web');
  assert.equal(restarted.Id, Id);
  assert.notEqual(restarted.State.StartedAt, State.StartedAt);
  await site.operator.ask('PUT', '/v1/nodes/lock', { locked: false });
  await site.until('web', 'running', /^as wanted$/);
  assert.notEqual((await site.inspect('web')).Id, Id);
  const { body } = await site.operator.get('/v1/nodes/events');
  assert.ok(body.events.length > 4);
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('nodes run again after Docker was killed, and a new container that Docker ended is not rejected', async () => {
  const site = new NodeSite(host);
  const image = registry.addScript('outlives', RUNS);
  site.write([{ name: 'web', image, update: QUICK }]);
  const service = await site.start();
  await site.until('web', 'running');
  const next = registry.addScript('next', `${RUNS} # ${createHash('sha256').update('next').digest('hex')}`);
  site.write([{ name: 'web', image: next, update: { healthyAfter: 3 } }]);
  await site.until('web', 'checking');
  await host.stopDocker('SIGKILL');
  await host.startDocker();
  await site.until('web', 'running', /^as wanted$/);
  assert.match((await site.inspect('web')).Config.Image, /next@/);
  assert.equal((await site.view('web')).rejected, undefined);
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});
