/** Faults between the ECS agent, the service and Docker, at each step of a task: nothing of it remains. */

import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { AgentDriver, taskBody } from '../support/agent-driver.ts';
import { OK, startValues, token } from '../support/callers.ts';
import { importShell, SHELL } from '../support/docker-cli.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { end, running, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The connection ended without an answer, or was not accepted. */
const BROKEN = /ECONNREFUSED|ECONNRESET|socket hang up/;

const CREATE = /^POST \S+\/containers\/create/;
const START = /^POST \S+\/containers\/\w+\/start/;

/** The progress of a task. */
const STEPS = ['create', 'start', 'claim', 'stop'] as const;
type Step = (typeof STEPS)[number];

/** A host on which the agent has a task. */
class Task {
  readonly site: Site;
  readonly agent: AgentDriver;
  dockerId = '';

  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.site = new Site(host, settings);
    this.agent = new AgentDriver(join(this.site.runDirectory, 'docker.sock'));
  }

  /** @returns the remaining steps */
  async go(service: ServiceProcess, last: Step): Promise<readonly Step[]> {
    const rest = [...STEPS];
    for (const step of STEPS.slice(0, STEPS.indexOf(last) + 1)) {
      await this.do(service, step);
      rest.shift();
    }
    return rest;
  }

  async do(service: ServiceProcess, step: Step): Promise<void> {
    const { agent, dockerId } = this;
    if (step === 'create') this.dockerId = await agent.create('one', taskBody(this.site.root));
    else if (step === 'start') await agent.begin(dockerId);
    else if (step === 'claim') await claim(service, dockerId);
    else {
      const id = await host.containerIdOf(dockerId);
      await agent.stop(dockerId);
      await service.gone(id);
      const receipt = join(this.site.root, 'var/lib/ecs-host-service/receipts', `${id}.json`);
      await until('its receipt exists', () => existsSync(receipt));
    }
  }

  create() {
    return this.agent.ask('POST', '/v1.21/containers/create?name=one', { body: taskBody(this.site.root) });
  }

  start() {
    return this.agent.ask('POST', `/v1.21/containers/${this.dockerId}/start`);
  }

  /** Docker made it for a mount of the task definition. */
  clear(): void {
    this.agent[Symbol.dispose]();
    rmSync(join(this.site.root, 'fractalCloudStorage'), { recursive: true, force: true });
  }
}

async function claim(service: ServiceProcess, dockerId: string): Promise<void> {
  const port = await host.hostPort(dockerId);
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
}

async function states(): Promise<string[]> {
  return (await host.docker.listContainers({ all: true })).map(({ State }) => State);
}

async function nothingIsHeld(service: ServiceProcess): Promise<void> {
  await until('nothing is held', () => service.heldByContainers().length === 0);
}

async function assertNoLeaks(site: Site): Promise<void> {
  const doctor = site.run(['doctor', '--leaks']);
  assert.equal(await doctor.ended(), 0, doctor.log());
}

async function restartDocker(service: ServiceProcess): Promise<void> {
  const from = service.lines.length;
  await host.stopDocker('SIGKILL');
  await service.message("lost Docker's event stream", from);
  await host.startDocker();
  await service.message('Docker is back', from);
}

test('a container that was created but not started when Docker was killed is there afterwards and can be used', async () => {
  const task = new Task();
  const service = await task.site.start();
  const rest = await task.go(service, 'create');
  await restartDocker(service);
  for (const step of rest) await task.do(service, step);
  await task.agent.remove(task.dockerId);
  await nothingIsHeld(service);
  assert.equal(await service.stop(), 0);
  task.clear();
});

test('a container of a task that ended because Docker was killed is released, at whatever later step', async () => {
  const task = new Task();
  const service = await task.site.start();
  for (const step of ['start', 'claim', 'stop'] as const) {
    await task.go(service, step);
    const id = await host.containerIdOf(task.dockerId);
    await restartDocker(service);
    await service.gone(id);
    assert.equal((await task.agent.inspect(task.dockerId)).State.Running, false, step);
    assert.equal((await task.start()).status, 409, step);
    await assertNoLeaks(task.site);
    await task.agent.remove(task.dockerId);
  }
  assert.equal(await service.stop(), 0);
  task.clear();
});

for (const step of STEPS) {
  test(`if the service is killed after the step "${step}" of a task, nothing unused remains`, async () => {
    const task = new Task();
    const service = await task.site.start();
    await task.go(service, step);
    await task.site.kill(service);
    await assert.rejects(task.agent.ask('GET', '/_ping'), BROKEN);
    await task.site.bury();
    const isUsed = step === 'claim';
    assert.deepEqual(await running(host), isUsed ? [task.dockerId] : []);
    if (isUsed) await end(host, task.dockerId);
    await task.site.over();
    await assertNoLeaks(task.site);
    const isLeftToAgent = isUsed || step === 'stop';
    assert.deepEqual(await states(), isLeftToAgent ? ['exited'] : []);
    if (isLeftToAgent) await host.docker.getContainer(task.dockerId).remove();
    task.clear();
  });
}

test('the service, bury and the next service ignore a container from an image committed from a hosted one', async () => {
  await importShell(host.docker);
  const task = new Task();
  const { agent, site } = task;
  const service = await site.start();
  const original = await agent.create('original', taskBody(site.root, { image: SHELL }));
  const id = await host.containerIdOf(original);
  await agent.begin(original);
  await agent.call(201, 'POST', `/commit?container=${original}&repo=tests/committed`);
  await host.docker.getContainer(original).remove({ force: true });
  await service.gone(id);

  const dockerId = await agent.create('committed', { Image: 'tests/committed' });
  await agent.begin(dockerId);
  await agent.call(204, 'POST', `/containers/${dockerId}/restart?t=0`);
  await task.go(service, 'stop');
  await agent.remove(task.dockerId);
  assert.deepEqual(await running(host), [dockerId]);
  await assertNoLeaks(site);
  await site.kill(service);
  await site.bury();
  assert.deepEqual(await running(host), [dockerId]);
  const next = await site.start();
  assert.equal(await next.stop(), 0);
  assert.deepEqual(await running(host), [dockerId]);
  await host.docker.getContainer(dockerId).remove({ force: true });
  await host.docker.getImage('tests/committed').remove();
  task.clear();
});

async function withFaults(run: (task: Task, service: ServiceProcess, engine: FaultyEngine) => Promise<void>) {
  await using engine = await FaultyEngine.open();
  const task = new Task(engine.settings);
  const service = await task.site.start();
  await run(task, service, engine);
  task.clear();
}

test('if the answer to a create fails or is damaged, nothing of the container remains, and the next create succeeds', async () => {
  await withFaults(async (task, service, engine) => {
    for (const fault of ['fails', 'deaf', 'mute', 'half'] as const) {
      const hit = engine.spoil(CREATE, fault);
      if (fault === 'fails') {
        const { status, data } = await task.create();
        assert.deepEqual([status, String(data)], [500, 'failed on purpose\n']);
      } else await assert.rejects(task.create(), BROKEN, fault);
      await hit;
      await nothingIsHeld(service);
      await until('Docker has no containers', async () => (await states()).length === 0);
    }
    await task.go(service, 'stop');
    await task.agent.remove(task.dockerId);
    assert.equal(await service.stop(), 0);
  });
});

test('if the answer to a start fails or is damaged, the container is stopped and released', async () => {
  await withFaults(async (task, service, engine) => {
    for (const fault of ['fails', 'deaf', 'mute', 'half'] as const) {
      await task.go(service, 'create');
      const id = await host.containerIdOf(task.dockerId);
      const hit = engine.spoil(START, fault);
      if (fault === 'fails') assert.equal((await task.start()).status, 500);
      else await assert.rejects(task.start(), BROKEN, fault);
      await hit;
      await service.gone(id);
      assert.deepEqual(await states(), [], fault);
      assert.equal((await task.start()).status, 404, fault);
    }
    assert.equal(await service.stop(), 0);
  });
});

test('if Docker is killed while it creates a container, what it created is removed when it is back', async () => {
  await withFaults(async (task, service, engine) => {
    const hit = engine.spoil(CREATE, 'held');
    const created = assert.rejects(task.create(), BROKEN);
    await hit;
    await restartDocker(service);
    await created;
    await until('Docker has no containers', async () => (await states()).length === 0);
    await nothingIsHeld(service);
    assert.equal(await service.stop(), 0);
  });
});

test('if Docker is killed while it starts a container, the container is released when Docker is back', async () => {
  await withFaults(async (task, service, engine) => {
    await task.go(service, 'create');
    const hit = engine.spoil(START, 'held');
    const started = assert.rejects(task.start(), BROKEN);
    await hit;
    await restartDocker(service);
    await started;
    await until('Docker has no containers', async () => (await states()).length === 0);
    await nothingIsHeld(service);
    assert.equal(await service.stop(), 0);
  });
});

test('if the service is killed before it learns what Docker created, that container is removed', async () => {
  await withFaults(async (task, service, engine) => {
    const hit = engine.spoil(CREATE, 'held');
    const created = assert.rejects(task.create(), BROKEN);
    await hit;
    assert.deepEqual(await states(), ['created']);
    await task.site.kill(service);
    await created;
    await task.site.bury();
    await task.site.over();
    assert.deepEqual(await states(), []);
  });
});

test('if the service is killed before it learns that a container was started, that container is removed', async () => {
  await withFaults(async (task, service, engine) => {
    await task.go(service, 'create');
    const hit = engine.spoil(START, 'held');
    const started = assert.rejects(task.start(), BROKEN);
    await hit;
    assert.deepEqual(await running(host), [task.dockerId]);
    await task.site.kill(service);
    await started;
    await task.site.bury();
    await task.site.over();
    assert.deepEqual(await states(), []);
  });
});

test('a client that disconnects before Docker answers its create leaves nothing behind', async () => {
  await withFaults(async (task, service, engine) => {
    const hit = engine.spoil(CREATE, 'held');
    const created = assert.rejects(task.create(), BROKEN);
    await hit;
    const [made] = await host.docker.listContainers({ all: true });
    const id = await host.containerIdOf(made?.Id ?? '');
    task.agent[Symbol.dispose]();
    await created;
    engine.release();
    await service.gone(id);
    await until('Docker has no containers', async () => (await states()).length === 0);
    assert.ok(
      service.lines.every(({ level }) => level !== 'error' && level !== 'fatal'),
      service.log(),
    );
    assert.equal(await service.stop(), 0);
  });
});

test('a service that stops while Docker owes the answer to a create ends, and leaves nothing behind', async () => {
  await withFaults(async (task, service, engine) => {
    const hit = engine.spoil(CREATE, 'held');
    const created = assert.rejects(task.create(), BROKEN);
    await hit;
    assert.equal(await service.stop(), 0);
    await created;
    assert.deepEqual(await states(), []);
  });
});
