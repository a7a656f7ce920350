/** Managed nodes from EchoStream: ministack simulates Cognito, AppSync and SQS, and Docker is real. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { GetQueueAttributesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { Ministack } from '../../packages/echostream-node/test/support/ministack.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';
import { Registry } from '../support/registry.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
let registry: Registry;
let aws: Ministack;
before(async () => {
  host = new TestHost();
  await host.startDocker();
  registry = await Registry.open();
  aws = await Ministack.start();
});
after(async () => {
  await aws[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(() => host.finish());

const OWN_LOG = '/echostream/managed-app/demo/host';
const KEY = { accessKeyId: '000000000000', secretAccessKey: 'test' };
const TENANT = { audit: false, name: 'tenant', region: 'us-east-1', table: 'table' };

/** @returns the variables that EchoStream gives to a host, and the queue of its changes */
async function appWith(image: string) {
  const queue = await aws.makeQueue('changes', aws.url);
  const app = { __typename: 'ManagedApp', auditRecordsEndpoint: aws.url, name: 'demo' };
  const tenant = TENANT;
  const { appsyncEndpoint, clientId, password, userPoolId, username } = await aws.makeIdentity(aws.url, {
    GetNode: {
      __typename: 'AppChangeReceiverNode',
      app,
      name: 'demo:Change Receiver',
      receiveEdge: { queue, source: { name: 'App Change Router' } },
      receiveMessageType: { auditor: '', name: 'echo.change' },
      tenant,
    },
    GetApp: {
      ...app,
      GetAwsCredentials: {
        accessKeyId: '000000000000',
        expiration: '2099-01-01T00:00:00Z',
        secretAccessKey: KEY.secretAccessKey,
        sessionToken: 'test',
      },
      nodes: [
        { __typename: 'AppChangeReceiverNode', name: 'demo:Change Receiver' },
        {
          __typename: 'ManagedNode',
          loggingLevel: 'DEBUG',
          managedNodeType: { imageUri: image, name: 'http' },
          mounts: [{ target: '/data' }],
          name: 'web',
          ports: [{ containerPort: 80, hostPort: 18_090, protocol: 'tcp' }],
          stopped: false,
        },
      ],
      tenant,
    },
  });
  const env = {
    NODES_FEED: 'echostream',
    APP: 'demo',
    APPSYNC_ENDPOINT: String(appsyncEndpoint),
    AWS_DEFAULT_REGION: 'us-east-1',
    CLIENT_ID: String(clientId),
    LOG_GROUP_NAME: '/echostream/managed-app/demo',
    PASSWORD: String(password),
    TENANT: 'tenant',
    USER_NAME: String(username),
    USER_POOL_ID: String(userPoolId),
    AWS_ENDPOINT_URL: aws.url,
  };
  return { env, queue };
}

async function waiting(QueueUrl: string): Promise<number> {
  const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
  const { Attributes = {} } = await aws.sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...AttributeNames] }),
  );
  return AttributeNames.reduce((sum, name) => sum + Number(Attributes[name]), 0);
}

test('a host runs the nodes of a managed app, even without CloudWatch, and restarts those that a change affects', async () => {
  const { env, queue } = await appWith(registry.addScript('echo', RUNS));
  const site = new NodeSite(host);
  const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = KEY;
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
  const change = {
    datetime: new Date().toISOString(),
    lastModified: { at: '', by: '' },
    system: false,
    tenant: 'tenant',
    new: { type: 'Edge', source: 'other', target: 'web' },
  };
  await aws.sqs.send(
    new SendMessageCommand({
      QueueUrl: queue,
      MessageBody: JSON.stringify(change),
      MessageGroupId: 'g',
      MessageAttributes: { trackingId: { DataType: 'String', StringValue: 'one' } },
    }),
  );
  await service.line(({ msg, cause }) => msg === 'node' && cause === 'asked to restart');
  while ((await waiting(queue)) > 0) await site.view('web');
  await site.until('web', 'running');
  assert.notEqual((await site.inspect('web')).State.StartedAt, State.StartedAt);
  assert.ok(!service.lines.some((line) => JSON.stringify(line).includes(env.PASSWORD)));
  assert.equal(await service.stop(), 0);
  assert.equal((await site.inspect('web')).State.Running, true, 'nodes outlive the service');
  const ended = '"msg":"ended"';
  const file = readFileSync(`${site.root}/var/log/echostream/echostream-managed-app.log`, 'utf8');
  assert.ok(file.includes(ended) && !file.includes(env.PASSWORD));
  const logs = new CloudWatchLogsClient({ endpoint: aws.url, region: 'us-east-1', credentials: KEY });
  const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: OWN_LOG }));
  assert.ok(events.some(({ message }) => message?.includes(ended)));
  logs.destroy();
  rmSync(`${site.root}/var/log`, { recursive: true });
  await site.clear();
});
