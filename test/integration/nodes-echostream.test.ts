/** Managed nodes from EchoStream: ministack simulates Cognito, AppSync and SQS, and Docker is real. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { AWS_KEY, EchoStreamApp } from '../support/echostream-app.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const { host, registry } = await hostForNodes();
const app = await EchoStreamApp.open();
after(() => app[Symbol.asyncDispose]());

const OWN_LOG = '/echostream/managed-app/demo/host';

test('a host runs the nodes of a managed app, even without CloudWatch, and restarts those that a change affects', async () => {
  await app.want([
    {
      __typename: 'ManagedNode',
      loggingLevel: 'DEBUG',
      managedNodeType: { imageUri: registry.addScript('echo', RUNS), name: 'http' },
      mounts: [{ target: '/data' }],
      name: 'web',
      ports: [{ containerPort: 80, hostPort: 18_090, protocol: 'tcp' }],
      stopped: false,
    },
  ]);
  const { env } = app;
  const site = new NodeSite(host);
  const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = AWS_KEY;
  const own = { CLOUDWATCH_LOG_GROUP: OWN_LOG, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
  const service = await site.start({ ...env, ...own });
  await site.until('web', 'running');
  const { Config, HostConfig, State } = await site.inspect('web');
  // Nothing accepts the log there; Docker retries in the background.
  assert.deepEqual(
    [HostConfig.LogConfig?.Type, HostConfig.LogConfig?.Config.mode],
    ['awslogs', 'non-blocking'],
  );
  for (const variable of ['NODE=web', 'TENANT=tenant', 'USER_NAME=app-user', 'LOGGING_LEVEL=DEBUG'])
    assert.ok(Config.Env.includes(variable), variable);
  assert.equal(Config.Labels.managed_node_type, 'http');
  await app.change({ type: 'Edge', source: 'other', target: 'web' }, null);
  await service.line(({ msg, cause }) => msg === 'node' && cause === 'asked to restart');
  while ((await app.waiting()) > 0) await site.view('web');
  await site.until('web', 'running');
  assert.notEqual((await site.inspect('web')).State.StartedAt, State.StartedAt);
  assert.ok(!service.lines.some((line) => JSON.stringify(line).includes(env.PASSWORD)));
  assert.equal(await service.stop(), 0);
  assert.equal((await site.inspect('web')).State.Running, true, 'nodes outlive the service');
  const ended = '"msg":"ended"';
  const file = readFileSync(`${site.root}/var/log/echostream/echostream-managed-app.log`, 'utf8');
  assert.ok(file.includes(ended) && !file.includes(env.PASSWORD));
  const logs = new CloudWatchLogsClient({
    endpoint: app.aws.url,
    region: 'us-east-1',
    credentials: AWS_KEY,
  });
  const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: OWN_LOG }));
  assert.ok(events.some(({ message }) => message?.includes(ended)));
  logs.destroy();
  rmSync(`${site.root}/var/log`, { recursive: true });
  await site.clear();
});
