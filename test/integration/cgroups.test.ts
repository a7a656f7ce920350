/** A hosted container sees only its own control group, and may write it in one hierarchy, as systemd does. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { importArchive } from '../../scripts/image.ts';
import { AgentDriver, TASK, taskBody } from '../support/agent-driver.ts';
import { claim, host as hostContainer } from '../support/callers.ts';
import { receiptOf, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const BUILD = join(import.meta.dirname, '../../build');
const IMAGE = 'tests/cgroup-attack:1';
const GROUPS = '/sys/fs/cgroup/systemd';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importArchive(host.docker, IMAGE, ['-C', BUILD, 'cgroup-attack'], 'CMD ["/cgroup-attack", "wait"]');
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The output of root in a container. */
function attack(dockerId: string, ...words: string[]): string[] {
  const said = execFileSync('docker', ['exec', dockerId, '/cgroup-attack', ...words], { encoding: 'utf8' });
  return said.split('\n').filter(Boolean);
}

/** The kernel's paths on this host. */
async function groupOf(dockerId: string): Promise<string> {
  const { State } = await host.docker.getContainer(dockerId).inspect();
  const [, path = ''] =
    /^\d+:name=systemd:(.*)$/m.exec(readFileSync(`/proc/${State.Pid}/cgroup`, 'utf8')) ?? [];
  return join(GROUPS, path);
}

const spinUp = (service: Parameters<typeof hostContainer>[0]) => hostContainer(service, { image: IMAGE });

test('a hosted container can create control groups below its own, as systemd does, and they are removed with it', async () => {
  const service = await host.start().ready();
  const dockerId = await spinUp(service);
  const group = await groupOf(dockerId);
  assert.match(group, new RegExp(`${dockerId}$`));
  assert.deepEqual(attack(dockerId, 'own'), ['is in /init.scope']);
  assert.ok(existsSync(join(group, 'init.scope')));
  assert.equal(await service.stop(), 0);
  assert.ok(!existsSync(group));
});

test("a hosted container can neither see another container's control group nor write any but its own", async () => {
  const service = await host.start().ready();
  const dockerId = await spinUp(service);
  await spinUp(service);
  assert.deepEqual(attack(dockerId, 'neighbours'), []);
  assert.deepEqual(attack(dockerId, 'others'), []);
  assert.equal(await service.stop(), 0);
});

test("a task of the ECS agent gets control groups in the same way, below the agent's", async () => {
  const site = new Site(host);
  const service = await site.start();
  using agent = new AgentDriver(site.dockerProxy);
  const image = { image: IMAGE, host: { CgroupParent: `/ecs/${TASK.split('/').at(-1)}` } };
  const dockerId = await agent.create('ecs-demo-1-demo-aabbccddeeff00112233', taskBody(site.root, image));
  await agent.begin(dockerId);
  const group = await groupOf(dockerId);
  assert.equal(group, `${GROUPS}/ecs/${TASK.split('/').at(-1)}/${dockerId}`);
  assert.deepEqual(attack(dockerId, 'own'), ['is in /init.scope']);
  assert.deepEqual(attack(dockerId, 'neighbours'), []);
  assert.deepEqual(attack(dockerId, 'others'), []);
  await agent.stop(dockerId);
  await agent.remove(dockerId);
  await until('its group is gone', () => !existsSync(group));
  assert.equal(await service.stop(), 0);
  execFileSync('rm', ['-r', join(site.root, 'fractalCloudStorage')]);
  for (const path of execFileSync('find', ['/sys/fs/cgroup', '-depth', '-path', '*/ecs*', '-type', 'd'], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter(Boolean))
    execFileSync('rmdir', [path]);
});

test('nested control groups that are deeper than a path can be are removed with the container', async () => {
  const service = await host.start().ready();
  const dockerId = await spinUp(service);
  const group = await groupOf(dockerId);
  assert.deepEqual(attack(dockerId, 'nest', '700'), ['nested']);
  assert.equal(await service.stop(), 0);
  assert.ok(!existsSync(group));
});

test('the control group of a container that was never started is removed too', async () => {
  const site = new Site(host);
  const service = await site.start();
  using agent = new AgentDriver(site.dockerProxy);
  const dockerId = await agent.create(
    'ecs-demo-1-demo-aabbccddeeff00112233',
    taskBody(site.root, { image: IMAGE }),
  );
  assert.ok(existsSync(`${GROUPS}/docker/${dockerId}`));
  await agent.remove(dockerId);
  await until('its group is gone', () => !existsSync(`${GROUPS}/docker/${dockerId}`));
  assert.equal(await service.stop(), 0);
});

test('after the service dies, the control group of an unused container is removed, and that of one in use when it ends', async () => {
  const site = new Site(host);
  const service = await site.start();
  const unclaimed = await spinUp(service);
  const claimed = await spinUp(service);
  const id = await host.containerIdOf(claimed);
  const groups = [await groupOf(unclaimed), await groupOf(claimed)] as const;
  for (const dockerId of [unclaimed, claimed]) attack(dockerId, 'nest', '3');
  await claim(service, await host.hostPort(claimed));
  await site.kill(service);
  const next = await site.start();
  assert.deepEqual(groups.map(existsSync), [false, true]);
  await host.docker.getContainer(claimed).stop({ t: 0 });
  await receiptOf(site.root, id);
  assert.ok(!existsSync(groups[1]));
  assert.equal(await next.stop(), 0);
});
