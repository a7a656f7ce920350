/** What happens to other clients' containers and calls when the service drains, stops, dies and comes back. */

import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { askTcp, claim, OK, token } from '../support/callers.ts';
import { DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import { end, receiptOf, running, Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LABEL = ['--label', 'ecs-host-service.interactive=true'];

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** Runs a container through the proxy of a site. @returns its docker id */
function run(site: Site, ...words: string[]): Promise<string> {
  return new DockerCli(site.dockerProxy).ok('run', '-d', ...LABEL, ...words, IMAGE);
}

async function remove(dockerId: string): Promise<void> {
  await host.docker.getContainer(dockerId).remove();
}

/** The service does not touch containers that are not hosted. */
async function assertOthersRun(cli: DockerCli): Promise<void> {
  assert.equal(await cli.ok('run', '--rm', SHELL, 'sh', '-c', 'echo ran'), 'ran');
}

test('only root can use the socket, and its inode stays the same for the life of the service', async () => {
  const site = new Site(host);
  const first = await site.start();
  const { mode, ino } = statSync(site.dockerProxy);
  assert.equal(mode & 0o777, 0o600);
  const dockerId = await run(site);
  await host.stopDocker();
  await first.message("lost Docker's event stream");
  assert.match(await new DockerCli(site.dockerProxy).fails('ps'), /Docker does not answer at .*; start it/);
  await host.startDocker();
  await first.message('Docker is back');
  assert.equal(await new DockerCli(site.dockerProxy).ok('ps', '-aq', '--no-trunc'), dockerId);
  assert.equal(statSync(site.dockerProxy).ino, ino);
  await site.kill(first);
  assert.ok(existsSync(site.dockerProxy));
  const second = await site.start();
  assert.equal(await new DockerCli(site.dockerProxy).ok('ps', '-aq', '--no-trunc'), dockerId);
  assert.equal(await second.stop(), 0);
  assert.ok(!existsSync(site.runDirectory));
  await remove(dockerId);
});

test('a draining service creates no hosted containers, keeps existing ones working, and serves other calls', async () => {
  const site = new Site(host);
  const service = await site.start();
  const cli = new DockerCli(site.dockerProxy);
  const dockerId = await run(site);
  const made = await cli.ok('create', ...LABEL, IMAGE);
  service.child.kill('SIGUSR2');
  await service.message('asked to drain');
  assert.match(await cli.fails('run', '-d', ...LABEL, IMAGE), /accepts no new containers.*use another host/);
  await assertOthersRun(cli);
  await cli.ok('start', made);
  await claim(service, await host.hostPort(made));
  await cli.ok('rm', '-f', made);
  await cli.ok('kill', dockerId);
  assert.equal(await service.ended(), 0);
  await remove(dockerId);
});

test('a stopping service creates and starts no hosted containers, and serves other calls until its containers have ended', async () => {
  const site = new Site(host);
  const env = { ROOT: site.root };
  const service = await host
    .start({ entry: 'dying-service.ts', arguments: ['release-waits', 'tty'], env })
    .ready();
  const cli = new DockerCli(site.dockerProxy);
  const dockerId = await run(site);
  service.child.kill('SIGTERM');
  await service.line(({ msg, kind }) => msg === 'releasing' && kind === 'tty');
  assert.match(await cli.fails('run', '-d', ...LABEL, IMAGE), /the host is stopping; use another host/);
  await assertOthersRun(cli);
  assert.equal(await service.stop('SIGURG'), 0);
  assert.equal((await host.docker.getContainer(dockerId).inspect()).State.Status, 'exited');
  await remove(dockerId);
});

test('an ended container stays in Docker until its maker removes it, even across a restart of the service', async () => {
  const site = new Site(host);
  const first = await site.start();
  const dockerId = await run(site, '--name', 'one');
  const id = await host.containerIdOf(dockerId);
  await end(host, dockerId);
  await first.gone(id);
  await site.assertNoLeaks();
  assert.equal(await first.stop(), 0);
  await site.assertNoLeaks();
  const second = await site.start();
  const cli = new DockerCli(site.dockerProxy);
  assert.equal(await cli.ok('ps', '-aq', '--no-trunc'), dockerId);
  assert.match(await cli.fails('start', 'one'), new RegExp(`${id} has ended`));
  await site.assertNoLeaks();
  await site.kill(second);
  await site.bury();
  assert.ok(await host.docker.getContainer(dockerId).inspect());
  await site.over();
  const third = await site.start();
  await cli.ok('rm', 'one');
  assert.equal(await third.stop(), 0);
});

test('after SIGKILL, an unclaimed container is removed, and one in use keeps running and is adopted', async () => {
  const site = new Site(host);
  const first = await site.start();
  const unclaimed = await run(site);
  const claimed = await run(site, '--name', 'used');
  const ended = await run(site, '--name', 'ended');
  const port = await host.hostPort(claimed);
  await claim(first, port);
  await end(host, ended);
  const id = await host.containerIdOf(ended);
  await first.gone(id);
  await receiptOf(site.root, id);
  await site.kill(first);
  await site.bury();
  assert.deepEqual(await running(host), [claimed]);
  const all = (await host.docker.listContainers({ all: true })).map(({ Id }) => Id);
  assert.deepEqual([all.includes(unclaimed), all.includes(ended)], [false, true]);
  assert.equal((await askTcp(port)).dpi, '96');
  const second = await site.start();
  assert.deepEqual(await token(second, port), OK);
  const cli = new DockerCli(site.dockerProxy);
  assert.match(await cli.fails('restart', 'used'), /cannot be restarted/);
  const used = await host.containerIdOf(claimed);
  assert.equal(await cli.ok('stop', 'used'), 'used');
  await second.gone(used);
  await cli.ok('rm', 'used', 'ended');
  assert.equal(await second.stop(), 0);
});

test('a container in use that ended while no service ran is released by the next service, and stays in Docker', async () => {
  const site = new Site(host);
  const first = await site.start();
  const dockerId = await run(site);
  const id = await host.containerIdOf(dockerId);
  await claim(first, await host.hostPort(dockerId));
  await site.kill(first);
  await end(host, dockerId);
  const second = await site.start();
  await second.gone(id);
  assert.equal((await host.docker.getContainer(dockerId).inspect()).State.Status, 'exited');
  await site.assertNoLeaks();
  await remove(dockerId);
  assert.equal(await second.stop(), 0);
});
