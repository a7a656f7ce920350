/** The calls of the stock ECS agent in its order: its tasks become interactive. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { AgentDriver, labelsOf, TASK, taskBody } from '../support/agent-driver.ts';
import { askTcp, claim } from '../support/callers.ts';
import { importShell, SHELL } from '../support/docker-cli.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { receiptOf, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const NAME = 'ecs-fractal-test-demo-1-fractal-container-aabbccddeeff00112233';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Stage {
  readonly site: Site;
  readonly service: ServiceProcess;
  readonly agent: AgentDriver;
}

async function withAgent(run: (stage: Stage) => Promise<void>): Promise<void> {
  const site = new Site(host);
  const service = await site.start();
  using agent = new AgentDriver(site.dockerProxy);
  await run({ site, service, agent });
  assert.equal(await service.stop(), 0);
  // Docker made it for a mount of the task definition.
  rmSync(join(site.root, 'fractalCloudStorage'), { recursive: true, force: true });
}

function images() {
  return spawn('docker', ['save', SHELL], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

/** Integers as text, the first one of each container port. */
function portsOf({
  NetworkSettings,
}: {
  NetworkSettings: { Ports: Record<string, { HostPort: string }[]> };
}) {
  return Object.fromEntries(
    Object.entries(NetworkSettings.Ports).map(([port, bindings]) => [port, bindings?.[0]?.HostPort ?? '']),
  );
}

async function makeReady(service: ServiceProcess, port: number): Promise<void> {
  await claim(service, port, { container_ARN: TASK });
}

test("the agent's calls alone create, use and remove a task's container", async () => {
  await withAgent(async ({ site, service, agent }) => {
    const events = await agent.start(images());
    const dockerId = await agent.create(NAME, taskBody(site.root));
    assert.equal((await agent.inspect(NAME)).Id, dockerId);
    await agent.begin(dockerId);
    const id = await host.containerIdOf(dockerId);
    const found = await agent.inspect(dockerId);
    const ports = portsOf(found);
    assert.deepEqual(Object.keys(ports).toSorted(), ['32262/tcp', '32263/udp', '32273/tcp']);
    for (const port of Object.values(ports)) assert.match(port, /^\d{4,5}$/);
    const own = join(site.root, 'fractal', id, 'containerResourceMappings');
    assert.equal(readFileSync(join(own, 'hostPort_for_my_32262_tcp'), 'utf8'), ports['32262/tcp']);
    assert.equal(found.HostConfig.IpcMode, 'shareable');
    assert.equal(found.Config.Labels['com.amazonaws.ecs.task-arn'], TASK);
    const writable = found.Mounts.filter(({ RW }: { RW: boolean }) => RW).map(
      ({ Source }: { Source: string }) => Source,
    );
    assert.deepEqual(
      writable.filter((path: string) => path.startsWith('/sys')),
      [],
    );

    const port = Number(ports['32262/tcp']);
    await makeReady(service, port);
    const told = await askTcp(port);
    assert.deepEqual([told.arn, told.ownConsole], [TASK, 'opened']);
    assert.notEqual(told.deviceRules, 'left');
    const stats = await agent.stream(`/containers/${dockerId}/stats?stream=1`);
    await until('numbers arrive', () => stats.objects.length > 0);
    assert.equal(await agent.exec(dockerId, ['/streaming-server', 'exit', '3']), 3);

    await agent.stop(dockerId);
    await service.gone(id);
    await agent.remove(dockerId);
    await until('its end is reported', () => events.of(dockerId).includes('destroy'));
    const known = events
      .of(dockerId)
      .filter((status) => ['create', 'start', 'die', 'destroy'].includes(status));
    assert.deepEqual(known, ['create', 'start', 'die', 'destroy']);
    const { role, task } = await receiptOf(site.root, id);
    assert.deepEqual([role, task], ['ecs', TASK]);
    const created = service.lines.find(
      ({ container, msg }) => container === id && msg === 'container is created',
    );
    assert.equal(created?.task, TASK);
    assert.ok(!existsSync(join(site.root, 'fractalCloudStorage', id)));
  });
});

test("a task's container gets its own control group, even if the agent's API version does not support that mount", async () => {
  await withAgent(async ({ site, agent }) => {
    const dockerId = await agent.create(NAME, taskBody(site.root));
    const { HostConfig } = await host.docker.getContainer(dockerId).inspect();
    const mounts = (HostConfig.Mounts ?? []) as unknown as { BindOptions?: { NonRecursive?: boolean } }[];
    assert.ok(mounts.length > 0 && mounts.every(({ BindOptions }) => BindOptions?.NonRecursive));
    assert.equal((HostConfig as { CgroupnsMode?: string }).CgroupnsMode, 'private');
    assert.ok(!(HostConfig.Binds ?? []).some((bind) => bind.startsWith('/sys')));
    await agent.remove(dockerId);
  });
});

test("host ports and ranges for ports other than the programs' own stay as the agent chose them", async () => {
  await withAgent(async ({ site, service, agent }) => {
    const range = { '9000/tcp': '49200', '9001/tcp': '49201', '9002/tcp': '49202' };
    const ports = { '32262/tcp': '49153', '8080/tcp': '49160', ...range };
    const dockerId = await agent.create(NAME, taskBody(site.root, { ports }));
    await agent.begin(dockerId);
    const { '32262/tcp': own, ...others } = portsOf(await agent.inspect(dockerId));
    assert.deepEqual(others, { '8080/tcp': '49160', ...range });
    await makeReady(service, Number(own));
    await agent.stop(dockerId);
    await agent.remove(dockerId);
  });
});

test("a refusal has the form of Docker's errors in the API version of the call", async () => {
  await withAgent(async ({ site, agent }) => {
    using direct = new AgentDriver('/run/docker.sock');
    const refused = taskBody(site.root, { host: { Privileged: true } });
    const missing = taskBody(site.root, { image: 'nothing:here' });
    for (const version of ['', '/v1.12', '/v1.21', '/v1.23', '/v1.24', '/v1.41']) {
      const path = `${version}/containers/create`;
      const expected = await direct.ask('POST', path, { body: { Image: 'nothing:here' } });
      const own = await agent.ask('POST', path, { body: missing });
      const ours = await agent.ask('POST', path, { body: refused });
      assert.deepEqual([own.status, String(own.data)], [404, String(expected.data)], version);
      const type = expected.headers['content-type'];
      assert.deepEqual([own.headers['content-type'], ours.headers['content-type']], [type, type], version);
      const text = String(ours.data);
      const message = type === 'application/json' ? JSON.parse(text).message : text;
      assert.match(message, /^[^{]*privileged/, version);
    }
  });
});

test('one of several simultaneous start requests starts a container, and the others are told that it is started', async () => {
  await withAgent(async ({ site, service, agent }) => {
    const dockerId = await agent.create(NAME, taskBody(site.root));
    const start = () => agent.ask('POST', `/v1.21/containers/${NAME}/start`);
    const answers = await Promise.all([start(), start(), start()]);
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [204, 304, 304],
    );
    await makeReady(service, Number(portsOf(await agent.inspect(dockerId))['32262/tcp']));
    await agent.stop(dockerId);
    await agent.remove(dockerId);
  });
});

test("a container that shares its pause container's network is reached through the pause container's ports", async () => {
  await withAgent(async ({ site, service, agent }) => {
    const pause = await agent.create('ecs-pause', {
      Image: SHELL,
      Labels: labelsOf('~internal~ecs~pause-main'),
      ExposedPorts: { '32262/tcp': {} },
      HostConfig: {
        PortBindings: { '32262/tcp': [{ HostIp: '', HostPort: '49170' }] },
        NetworkMode: 'bridge',
      },
    });
    await agent.begin(pause);
    assert.deepEqual(portsOf(await agent.inspect(pause)), { '32262/tcp': '49170' });
    const shared = { NetworkMode: `container:${pause}`, PortBindings: {} };
    const dockerId = await agent.create(NAME, taskBody(site.root, { ports: {}, host: shared }));
    await agent.begin(dockerId);
    await makeReady(service, 49170);
    assert.equal((await askTcp(49170)).port, '49170');
    const id = await host.containerIdOf(dockerId);
    await agent.stop(dockerId);
    await service.gone(id);
    await agent.remove(dockerId);
    // Its shell ignores SIGTERM.
    await agent.call(204, 'POST', `/containers/${pause}/stop?t=0`);
    await agent.remove(pause);
  });
});

test('the event stream and idle connections survive a restart of Docker, and later events arrive', async () => {
  await withAgent(async ({ site, service, agent }) => {
    const events = await agent.start(images());
    const from = service.lines.length;
    await host.stopDocker('SIGKILL');
    await service.message("lost Docker's event stream", from);
    for (const [method, path, body] of [
      ['GET', '/v1.21/version'],
      ['POST', '/v1.21/containers/create?name=one', taskBody(site.root)],
      ['POST', '/v1.21/containers/one/start'],
    ] as const) {
      const { status, data } = await agent.ask(method, path, { body });
      assert.equal(status, 503, path);
      assert.match(data.toString(), /^Docker does not answer at .*; start it/);
    }
    assert.deepEqual(service.heldByContainers(), []);
    await host.startDocker();
    await service.message('Docker is back', from);
    assert.ok((await agent.probe()).includes('v1.21'));
    const dockerId = await agent.create(NAME, taskBody(site.root));
    await agent.begin(dockerId);
    await until('its start is reported', () => events.of(dockerId).includes('start'));
    assert.equal(events.isOver, false);
    await agent.stop(dockerId);
    await agent.remove(dockerId);
    await until('its end is reported', () => events.of(dockerId).includes('destroy'));
    const all = events.of(dockerId);
    assert.deepEqual(all, [...new Set(all)], 'each event arrives once');
  });
});

test('events that happened while Docker came back arrive too', async () => {
  await withAgent(async ({ agent, service }) => {
    // Docker starts it again before it accepts the first call.
    const HostConfig = { RestartPolicy: { Name: 'always' } };
    const dockerId = await agent.create('other', { Image: IMAGE, Labels: labelsOf('other'), HostConfig });
    const events = await agent.stream('/events');
    const told = (status: string) => events.of(dockerId).filter((one) => one === status).length;
    await agent.begin(dockerId);
    await until('its start is reported', () => told('start') === 1);
    const from = service.lines.length;
    await host.stopDocker();
    await service.message("lost Docker's event stream", from);
    await host.startDocker();
    await until('its second start is reported', () => told('start') === 2);
    await agent.stop(dockerId);
    await agent.remove(dockerId);
    await until('its end is reported', () => told('destroy') === 1);
    assert.equal(told('start'), 2, 'each event arrives once');
  });
});
