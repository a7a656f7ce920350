/**
 * GPUs, with a stand-in for nvidia's toolkit: Docker looks up its hook by name, and passes the GPUs to it in the
 * environment of the container. The driver's list of GPUs is a directory on a tmpfs.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { claim, spinUp } from '../support/callers.ts';
import { askForMetrics } from '../support/metrics.ts';
import { Operator } from '../support/operator.ts';
import { receiptOf, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const HOOK = 'nvidia-container-runtime-hook';
const RUNTIME = ['--add-runtime', 'nvidia=/usr/sbin/runc'];
const [A, B] = ['GPU-0a1b2c3d-0000-0000-0000-00000000000a', 'GPU-0a1b2c3d-0000-0000-0000-00000000000b'];

let host: TestHost;
before(async () => {
  // Docker reads only the name of the hook; the device has no driver.
  host = await TestHost.open(RUNTIME);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('on a host with the nvidia runtime, containers request its GPUs', async () => {
  const service = await host.start().ready();
  const { status, body } = await spinUp(service);
  assert.equal(status, 406);
  assert.match(body, /could not select device driver .*nvidia.* with capabilities: \[\[gpu\]\]/);
  assert.deepEqual(service.heldByContainers(), []);
  assert.equal(await service.stop(), 0);
});

/** Gives the host two GPUs, and Docker a hook for them that does nothing. */
async function addGpus(): Promise<void> {
  const tools = '/run/test/nvidia';
  mkdirSync(tools);
  writeFileSync(join(tools, HOOK), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/proc/driver']);
  for (const [i, uuid] of [A, B].entries()) {
    const slot = `/proc/driver/nvidia/gpus/0000:00:0${i}.0`;
    mkdirSync(slot, { recursive: true });
    writeFileSync(join(slot, 'information'), `Model: \t Tesla M60\nGPU UUID: \t ${uuid}\n`);
  }
  process.env.PATH = `${tools}:${process.env.PATH}`;
  await host.stopDocker();
  await host.startDocker(RUNTIME);
}

/** The GPUs that Docker shows to the program of a container. */
async function visibleTo(docker: string): Promise<string> {
  const { State } = await host.docker.getContainer(docker).inspect();
  const seen = () =>
    readFileSync(`/proc/${State.Pid}/environ`, 'utf8')
      .split('\0')
      .findLast((one) => one.startsWith('NVIDIA_VISIBLE_DEVICES='));
  // Docker may answer a moment before its runtime has become the program.
  await until('the program has its environment', () => seen() !== undefined);
  return seen() ?? '';
}

test('containers get named GPUs, the least used one first, as many for each as its shares, and keep them after a crash', async () => {
  await addGpus();
  const root = host.newRoot();
  const settings = { ROOT: root, CONTAINERS_PER_GPU: '1' };
  const service = await host.start({ env: settings }).ready();
  const operator = new Operator(root);
  const make = (fields: object = {}) =>
    operator.ask('POST', '/v1/containers', { image: IMAGE, app: 'demo', ...fields });
  const [first, second] = [(await make()).body, (await make({ gpu: true })).body];
  assert.deepEqual([first.gpus, second.gpus], [[A], [B]]);
  assert.deepEqual(await Promise.all([first, second].map(({ docker }) => visibleTo(docker))), [
    `NVIDIA_VISIBLE_DEVICES=${A}`,
    `NVIDIA_VISIBLE_DEVICES=${B}`,
  ]);
  const refused = await make();
  assert.deepEqual([refused.status, refused.body.title], [503, 'gpu.none_free']);
  const without = await make({ gpu: false });
  assert.deepEqual([without.status, without.body.gpus], [201, undefined]);
  const gpus = { name: 'gpus', size: 2, held: 2, warm: 0, each: 1, fits: 0 };
  const { resources, fits } = (await operator.get('/v1/capacity')).body;
  assert.deepEqual([resources[3], fits], [gpus, 0]);
  assert.equal((await askForMetrics(root))('pool_held', '{"pool":"gpus"}'), 2);
  await operator.ask('POST', `/v1/containers/${first.id}/stop`);
  const released = (await receiptOf(root, first.id)).resources.find(({ kind }) => kind === 'gpu');
  assert.deepEqual([released?.what, released?.seen?.startsWith('its container is')], [A, true]);

  await claim(service, second.port);
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  const next = await host.start({ env: settings }).ready();
  assert.deepEqual((await operator.get(`/v1/containers/${second.id}`)).body.gpus, [B]);
  assert.deepEqual((await make()).body.gpus, [A]);
  assert.equal((await make()).body.title, 'gpu.none_free');
  assert.equal(await next.stop(), 0);
});
