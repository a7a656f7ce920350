/** Compose makes hosted containers through the proxy like any other client of Docker. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { IMAGE } from '../../scripts/image.ts';
import { claim } from '../support/callers.ts';
import { Cli } from '../support/docker-cli.ts';
import { running } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const PLACE = `services:
  place:
    image: ${IMAGE}
    labels:
      ecs-host-service.interactive: "true"
    mem_limit: 256m
`;

/** Compose with a project on a host. */
function projectOn(root: string): Cli {
  const file = join('/run/test', 'compose.yaml');
  writeFileSync(file, PLACE);
  const words = ['-H', `unix://${pathsBelow(root).dockerProxy}`, '-f', file, '-p', 'demo'];
  return new Cli('docker-compose', words);
}

test('Docker Compose makes hosted containers, cannot restart them, makes them again, and removes them with their project', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const project = projectOn(root);
  await project.ok('up', '-d');
  const first = await project.ok('ps', '-q', 'place');
  await claim(service, await host.hostPort(first));
  const { out, err } = await project.run('restart');
  assert.match(out + err, /cannot be restarted/);
  await project.ok('up', '-d', '--force-recreate');
  const second = await project.ok('ps', '-q', 'place');
  assert.deepEqual(await running(host), [second]);
  assert.notEqual(second, first);
  await claim(service, await host.hostPort(second));
  await project.ok('down');
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  await service.holdsNothing();
  assert.equal(await service.stop(), 0, service.log());
});
