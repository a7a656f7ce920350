/** An image of another registry is copied into ECR and deployed, although the network fails in both directions. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readServices, readTaskDefinition } from '../../src/aws/task-reads.ts';
import { ACCOUNT, AwsHost, docker, LASTING, pushImage, REGISTRY } from '../support/aws-host.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { digestThere, SECOND_REGISTRY, startSecondRegistry } from '../support/second-registry.ts';
import { run } from '../support/tool.ts';

const configOf = (registry: string, mirror: string) => `
application: shop
stages:
  staging: { account: '${ACCOUNT}', region: us-east-1, cluster: shop, record: s3://releases/shop }
images:
  web: { repository: web, registry: '${registry}', mirror: '${mirror}', tag: mirrored }
services:
  portal: { service: portal, containers: { app: { image: web } } }
release: { timeout: 2m, poll: 500ms }
`;

test('an image of another registry is copied into ECR despite resets, and runs by its original digest', async () => {
  await using aws = await AwsHost.start();
  await using _ = await startSecondRegistry();
  await using there = await CuttingProxy.start(SECOND_REGISTRY, 1);
  // Docker itself retries the layer, but not the image's configuration, which follows it.
  await using here = await CuttingProxy.start(REGISTRY, 2);
  await using place = await mkdtempDisposable(join(tmpdir(), 'mirror-'));
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  pushImage(`${REGISTRY}/web:old`, LASTING);
  await aws.makeService('shop', 'portal', await aws.register('portal', `${REGISTRY}/web:old`));
  // Only the other registry has the image.
  pushImage(`${SECOND_REGISTRY}/upstream/web:1`, `: mirrored; ${LASTING}`, 300_000);
  docker('rmi', `${SECOND_REGISTRY}/upstream/web:1`);
  const config = configOf(here.registry, `${there.registry}/upstream/web:1`);
  await writeFile(join(place.path, 'ecs-release.yaml'), config);
  for (const command of ['build', 'push', 'deploy']) {
    const { code, stderr } = await run([command, '--stage', 'staging'], { cwd: place.path });
    assert.equal(code, 0, stderr);
  }
  assert.match(there.cut.join(), /^GET \/v2\/upstream\/web\/blobs\/sha256:\w+$/);
  assert.match(here.cut.join(), /^PATCH \/v2\/web\/blobs\/uploads\/[^,]*,PATCH /);
  const ecs = await aws.clients.ecs();
  const [live] = await readServices(ecs, 'shop', ['portal']);
  const { definition } = await readTaskDefinition(ecs, live?.taskDefinition ?? '');
  const digest = await digestThere('upstream/web', '1');
  assert.match(digest, /^sha256:/);
  assert.equal(definition.containerDefinitions?.[0]?.image, `${here.registry}/web@${digest}`);
  assert.match(docker('ps', '--no-trunc'), /: mirrored;/);
});
