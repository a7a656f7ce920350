/**
 * Updates of nodes while Debian's registry or the disk fails: the old container keeps running until the update
 * succeeds.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { DebianRegistry } from '../support/debian-registry.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';
import { REGISTRY_PASSWORD } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const QUICK = { healthyAfter: 0.2 };
const MIB = 2 ** 20;
const USER = { username: 'puller', password: REGISTRY_PASSWORD };

let host: TestHost;
let registry: DebianRegistry;
let site: NodeSite;
let service: ServiceProcess;
let tag = 0;

before(async () => {
  host = new TestHost();
  await host.startDocker();
  registry = await DebianRegistry.open(USER);
  site = new NodeSite(host);
  writeCredentials(USER);
  update(await push());
  service = await site.start({ REGISTRY_AUTH_FILE: `${site.root}-auth.json` });
  await site.until('web', 'running', /^as wanted$/);
});
after(async () => {
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
  await host.finish();
  await registry[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(() => {
  registry.fault = () => undefined;
});

function writeCredentials({ username, password }: typeof USER): void {
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const content = JSON.stringify({ auths: { [registry.address]: { auth } } });
  writeFileSync(`${site.root}-auth.json`, content, { mode: 0o600 });
}

function push(padding?: number): Promise<string> {
  tag += 1;
  return registry.push(host.docker, 'faulty', `v${tag}`, `${RUNS} # ${tag}`, padding);
}

function update(image: string): void {
  site.write([{ name: 'web', image, update: QUICK }]);
}

/** @param begin begins a fault @param end ends it */
async function during(begin: () => void, end: () => void, why: RegExp, padding?: number): Promise<void> {
  const { Id } = await site.inspect('web');
  const image = await push(padding);
  const from = service.lines.length;
  begin();
  update(image);
  const failed = await service.line(({ msg }) => msg === 'a step of a node failed', from);
  assert.match(String(failed.why), why);
  const old = await site.inspect('web');
  assert.deepEqual([old.Id, old.State.Running], [Id, true], 'the old container runs on');
  end();
  await site.until('web', 'running', /^as wanted$/);
  assert.notEqual((await site.inspect('web')).Id, Id);
  assert.deepEqual(await site.names(), ['web']);
}

test('while the registry refuses requests as too frequent, the old container keeps running', async () => {
  let refused = 0;
  const begin = () => {
    registry.fault = () => (++refused <= 3 ? 429 : undefined);
  };
  await during(begin, () => {}, /could not be pulled/);
  assert.ok(refused > 3);
});

test('if the credentials expire during a pull, the pull is retried with new ones', async () => {
  const renewed = { ...USER, password: `${REGISTRY_PASSWORD}-renewed` };
  const begin = () => {
    registry.fault = (path) => {
      if (path.includes('/blobs/')) registry.credentials = renewed;
      return undefined;
    };
  };
  await during(begin, () => writeCredentials(renewed), /could not be pulled|shows no image/);
});

test('if the disk fills up during a pull, the old container keeps running until there is room', async () => {
  const resize = (size: string) => execFileSync('mount', ['-o', `remount,size=${size}`, '/var/lib/docker']);
  const begin = () => {
    const { blocks, bfree, bsize } = statfsSync('/var/lib/docker');
    resize(`${Math.ceil(((blocks - bfree) * bsize) / MIB) + 8}m`);
  };
  await during(begin, () => resize('50%'), /no space left on device/, 24 * MIB);
});
