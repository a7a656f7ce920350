/** The data that `verify` reads from ECR, a registry and EventBridge, and its conclusions. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { ECRClient } from '@aws-sdk/client-ecr';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { Clients } from '../src/aws/clients.ts';
import { configOf } from '../src/config/read.ts';
import type { Trigger } from '../src/release/cloud.ts';
import { checkPlatforms, checkRepositories } from '../src/verify/images.ts';
import { checkTriggers } from '../src/verify/triggers.ts';
import { JsonAws, Refusal } from './support/json-aws.ts';

const configFor = (images: string) =>
  configOf(
    `
application: shop
stages: { live: { account: '123456789012', region: us-east-1, cluster: shop, record: memory, tags: ['{commit}', stable] } }
images: { ${images} }
`,
    'live',
    { commit: 'one' },
    'test',
  );

async function world() {
  const aws = await JsonAws.start();
  const [ecr, events] = [new ECRClient(aws.settings), new EventBridgeClient(aws.settings)];
  const clients = { ecr: async () => ecr, events: async () => events } as unknown as Clients;
  return {
    ...{ aws, clients },
    [Symbol.asyncDispose]: async () => {
      ecr.destroy();
      events.destroy();
      await aws[Symbol.asyncDispose]();
    },
  };
}

test('a missing repository is bad, and so are immutable tags with a moving tag', async () => {
  await using there = await world();
  there.aws.actions = {
    DescribeRepositories: ({ repositoryNames }) => {
      const [name] = repositoryNames as [string];
      if (name === 'gone') throw new Refusal('RepositoryNotFoundException');
      if (name === 'secret') throw new Refusal('AccessDeniedException', 'no ecr:DescribeRepositories');
      const imageTagMutability = name === 'fixed' ? 'IMMUTABLE' : 'MUTABLE';
      return { repositories: [{ repositoryName: name, imageTagMutability }] };
    },
  };
  const config = configFor(
    'a: { repository: web }, b: { repository: fixed }, c: { repository: fixed, tag: v1, mirror: other/x }, d: { repository: gone }, e: { repository: secret }',
  );
  const checks = await checkRepositories(there.clients, config);
  assert.deepEqual(
    checks.map(({ what, state }) => `${what} ${state}`),
    [
      ...['repository web good', 'repository fixed bad', 'repository fixed good'],
      ...['repository gone bad', 'repository secret unknown'],
    ],
  );
  assert.match(checks[1]?.why ?? '', /a second push of stable is refused/);
  assert.match(checks[3]?.why ?? '', /123456789012 does not have it in us-east-1/);
  assert.match(checks[4]?.why ?? '', /no ecr:DescribeRepositories/);
});

test('the platforms of an image are read from its manifest, or from each one in an index', async () => {
  const manifests: Readonly<Record<string, object>> = {
    '/v2/both/manifests/1': {
      manifests: [
        { platform: { os: 'linux', architecture: 'arm64' } },
        { platform: { os: 'linux', architecture: 'amd64' } },
        { platform: { os: 'unknown', architecture: 'unknown' } },
      ],
    },
    '/v2/arm/manifests/1': { config: { digest: 'sha256:c' } },
    '/v2/arm/blobs/sha256:c': { os: 'linux', architecture: 'arm64' },
  };
  const registry = createServer((request, response) => {
    const found = manifests[request.url ?? ''];
    assert.equal(request.headers.authorization, `Basic ${Buffer.from('AWS:word').toString('base64')}`);
    response.writeHead(found ? 200 : 404).end(JSON.stringify(found ?? {}));
  }).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  const host = `localhost:${(registry.address() as { port: number }).port}`;
  await using there = await world();
  const authorizationToken = Buffer.from('AWS:word').toString('base64');
  there.aws.actions = { GetAuthorizationToken: () => ({ authorizationData: [{ authorizationToken }] }) };
  const definitions = ['both', 'arm', 'gone'].map((name) => ({
    requiresCompatibilities: ['FARGATE' as const],
    containerDefinitions: [{ name, image: `${host}/${name}:1` }],
  }));
  const checks = await checkPlatforms(there.clients, configFor('a: { repository: both }'), definitions);
  registry.closeAllConnections();
  registry.close();
  assert.deepEqual(
    checks.map(({ state }) => state),
    ['good', 'bad', 'unknown'],
  );
  assert.match(checks[0]?.what ?? '', /\(linux\/arm64, linux\/amd64\)/);
  assert.match(checks[1]?.why ?? '', /built for linux\/arm64, but its tasks run on linux\/amd64/);
  assert.match(checks[2]?.why ?? '', /answers 404 for gone\/manifests\/1/);
});

test('a disabled rule and a disabled schedule are warnings', async () => {
  await using there = await world();
  there.aws.actions = { DescribeRule: ({ Name }) => ({ State: Name === 'off' ? 'DISABLED' : 'ENABLED' }) };
  const target = { Arn: 'arn:aws:ecs:r:1:cluster/shop', RoleArn: 'arn:aws:iam::1:role/x', EcsParameters: {} };
  const triggers: readonly Trigger[] = [
    ...['on', 'off'].map((place) => ({
      ...{ kind: 'rule' as const, place, id: '1', taskDefinition: 'a:1', whole: target },
    })),
    ...['ENABLED', 'DISABLED'].map((State) => ({
      ...{ kind: 'schedule' as const, place: 'group', id: State, taskDefinition: 'a:1' },
      whole: { State, Target: target },
    })),
  ];
  const checks = await checkTriggers(there.clients, 'shop', triggers);
  assert.deepEqual(
    checks.map(({ state }) => state),
    ['good', 'warning', 'good', 'warning'],
  );
  assert.match(checks[3]?.what ?? '', /schedule/);
});
