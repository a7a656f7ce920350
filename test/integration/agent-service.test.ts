/** The ECS agent under the whole service: what it gets, what outlives it, and who stops it. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { identify, isRunning, type ProcessIdentity } from '../../host/processes.ts';
import { host as hostContainer } from '../support/callers.ts';
import type { FakeStart } from '../support/fake-agent.ts';
import { furnish } from '../support/fake-agent-site.ts';
import type { ServiceProcess, StartOptions } from '../support/service-process.ts';
import { end, hostTwo, KILLED, running, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const PORT = 51_678;
const REGISTERED = 'the ECS agent has registered this host';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());

let site: Site;
afterEach(async () => {
  // Files that an operator and the agent keep there.
  for (const path of ['etc', 'var/lib/ecs', 'var/log', 'fake-agent']) {
    rmSync(join(site.root, path), { recursive: true, force: true });
  }
  await host.finish();
});

/** @returns a service whose agent behaves as planned at each of its starts */
async function startWith(
  plan: readonly FakeStart[] = [],
  options: StartOptions = {},
): Promise<ServiceProcess> {
  site = new Site(host);
  const program = furnish(pathsBelow(site.root), PORT, {
    plan,
    config: 'ECS_ENGINE_AUTH_DATA={"a":"hushhush"}',
  });
  rmSync(site.runDirectory, { recursive: true });
  const env = { ROOT: site.root, ECS_AGENT: 'binary', ECS_AGENT_BINARY: program };
  return await host.start({ ...options, env }).ready();
}

function agent(): ProcessIdentity {
  return JSON.parse(readFileSync(join(site.runDirectory, 'ledger/ecs-agent/facts.json'), 'utf8'));
}

function post(path: string, body: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = request({ port: PORT, host: '127.0.0.1', method: 'POST', path }, (answer) => {
    answer.resume().on('end', resolve);
  });
  sent.on('error', reject).end(body);
  return promise;
}

test("the agent reaches Docker through the proxy, its log is part of the service's log, and it ends with the service", async () => {
  const service = await startWith();
  await service.message(REGISTERED);
  await service.message('Docker answers with 200');
  const [start = ''] = readFileSync(join(site.root, 'var/lib/ecs/data/starts'), 'utf8').split('\n');
  const environment = JSON.parse(start.slice(start.indexOf('{')));
  assert.equal(environment.DOCKER_HOST, `unix://${site.runDirectory}/docker.sock`);
  assert.equal(environment.WEBSERVER_AUTH_SECRET, undefined);
  const { pid } = agent();
  assert.equal(await service.stop(), 0, service.log());
  assert.equal(identify(pid), undefined);
  assert.ok(!service.log().includes('hushhush'));
});

test('a graceful shutdown waits for an agent with a running task, so that it can report the end of the task', async () => {
  const service = await startWith();
  await service.message(REGISTERED);
  const dockerId = await hostContainer(service);
  const task = (status: string) =>
    JSON.stringify({
      Tasks: [
        {
          Arn: 'arn:task/1',
          Family: 'demo',
          Version: '1',
          DesiredStatus: 'STOPPED',
          KnownStatus: status,
          Containers: [{ DockerId: dockerId, DockerName: 'one', Name: 'main' }],
        },
      ],
    });
  await post('/tasks', task('RUNNING'));
  const { pid } = agent();
  const from = service.lines.length;
  const stopped = service.stop();
  await service.message('Tells its tasks', from);
  assert.ok(identify(pid), 'the agent can still report');
  assert.deepEqual(await running(host), []);
  await post('/tasks', task('STOPPED'));
  assert.equal(await stopped, 0, service.log());
  assert.equal(identify(pid), undefined);
});

test('if ECS refuses to register the host, the service reports it and drains the host', async () => {
  const service = await startWith([{ exit: 5 }]);
  assert.equal(await service.ended(), 0, service.log());
  assert.ok(service.lines.some(({ level, msg }) => level === 'error' && /ECS agent/.test(String(msg))));
});

test('an agent that exits is restarted, and containers are not affected', async () => {
  const service = await startWith();
  await service.message(REGISTERED);
  const dockerId = await hostContainer(service);
  const first = agent();
  const from = service.lines.length;
  await post('/exit', '2');
  await service.message(REGISTERED, from);
  assert.notEqual(agent().pid, first.pid);
  assert.deepEqual(await running(host), [dockerId]);
  assert.equal(await service.stop(), 0, service.log());
});

test('a hand-over restarts the agent, and no container of a task ends', async () => {
  const service = await startWith([], { launcher: [] });
  await service.message(REGISTERED);
  const dockerId = await hostContainer(service);
  const first = agent();
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  await service.message(REGISTERED, from);
  assert.ok(!isRunning(first));
  assert.notEqual(agent().pid, first.pid);
  assert.deepEqual(await running(host), [dockerId]);
  assert.equal(await service.stop(), 0, service.log());
});

test('after a SIGKILL of the service, the agent is stopped before anything is removed', async () => {
  const service = await startWith([{ isDeaf: true }]);
  await service.message(REGISTERED);
  const { unclaimed, claimed } = await hostTwo(host, service);
  const left = agent();
  await site.kill(service);
  assert.ok(isRunning(left), 'the agent outlives the service');
  const bury = site.run(['bury'], KILLED);
  await bury.line(({ msg }) => /stopping the ECS agent/.test(String(msg)));
  assert.ok((await running(host)).includes(unclaimed));
  assert.equal(await bury.ended(), 0, bury.log());
  assert.ok(!isRunning(left));
  assert.deepEqual(await running(host), [claimed]);
  await site.waits();
  await end(host, claimed);
  await site.over();
});

test('the service keeps hosting containers even if the agent cannot be stopped', async () => {
  const service = await startWith();
  await service.message(REGISTERED);
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  // systemd would have to stop its unit, and cannot.
  await using bin = await mkdtempDisposable('/tmp/agent-');
  const systemctl = join(bin.path, 'systemctl');
  writeFileSync(systemctl, '#!/bin/sh\necho ActiveState=inactive\ntest -e "$0.works"\n', { mode: 0o755 });
  const page = join(site.runDirectory, 'ledger/ecs-agent');
  const [entry = ''] = readdirSync(page).filter((name) => name !== 'facts.json');
  writeFileSync(join(page, entry), JSON.stringify({ kind: 'ecs agent', what: 'unit', owner: 'ecs agent' }));
  const bury = site.run(['bury'], { ...KILLED, PATH: `${bin.path}:${process.env.PATH}` });
  assert.equal(await bury.ended(), 1, bury.log());
  await site.waits();
  await end(host, claimed);
  await until('the attempt is over', () => site.waitLog.includes('"msg":"ended"'));
  assert.ok(existsSync(page), 'the next attempt finds it in the ledger');
  assert.deepEqual(readdirSync(join(site.root, 'fractal')), ['temp']);
  writeFileSync(`${systemctl}.works`, '');
  await site.over();
});

test('after a crash that the service handled, no agent is left', async () => {
  const service = await startWith([], { entry: 'dying-service.ts', arguments: ['throw'] });
  await service.message(REGISTERED);
  const left = agent();
  assert.equal(await service.stop('SIGURG'), 1);
  assert.ok(!isRunning(left));
  assert.ok(!existsSync(site.runDirectory), 'nothing is left for bury');
});
