/** Nodes against an implementation of Cognito, AppSync, SQS and S3 that is independent of the tests. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type Message as SqsMessage,
} from '@aws-sdk/client-sqs';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { NodeOptions } from '../src/options.ts';
import { type Break, FaultProxy } from './support/fault-proxy.ts';
import { Ministack } from './support/ministack.ts';
import { TestNode } from './support/test-node.ts';
import { eventually } from './support/world.ts';

interface Place {
  readonly aws: Ministack;
  readonly proxy: FaultProxy;
  readonly options: NodeOptions;
  readonly incoming: string;
  readonly outgoing: string;
}

async function place(aws: Ministack, proxy: FaultProxy): Promise<Place> {
  Object.assign(process.env, { AWS_ENDPOINT_URL: proxy.url, AWS_EC2_METADATA_DISABLED: 'true' });
  const [incoming, outgoing] = [await aws.makeQueue('in', proxy.url), await aws.makeQueue('out', proxy.url)];
  const bucket = await aws.makeBucket('bulk-data');
  const type = { auditor: '', name: 'text' };
  const options = await aws.makeIdentity(proxy.url, {
    GetNode: {
      __typename: 'ExternalNode',
      app: {
        __typename: 'ExternalApp',
        auditRecordsEndpoint: proxy.url,
        config: '{"a":1}',
        name: 'app',
        tableAccess: true,
      },
      config: '{"b":2}',
      receiveEdges: [{ queue: incoming, source: { name: 'before' } }],
      receiveMessageType: type,
      sendEdges: [{ queue: outgoing, target: { name: 'after' } }],
      sendMessageType: type,
      tenant: { audit: false, region: 'us-east-1', table: 'table' },
    },
    GetApp: {
      __typename: 'ExternalApp',
      GetAwsCredentials: {
        accessKeyId: '000000000000',
        expiration: '2099-01-01T00:00:00Z',
        secretAccessKey: 'test',
        sessionToken: 'test',
      },
    },
    GetBulkDataStorage: ['one', 'two'].map((key) => ({
      expiration: 4_000_000_000,
      presignedGet: `${bucket}/${key}`,
      presignedPost: { fields: JSON.stringify({ key }), url: bucket },
    })),
  });
  return { aws, proxy, options, incoming, outgoing };
}

async function fill({ aws, incoming }: Place, bodies: readonly string[]): Promise<void> {
  const QueueUrl = `${aws.url}${new URL(incoming).pathname}`;
  for (let i = 0; i < bodies.length; i += 10) {
    const Entries = bodies.slice(i, i + 10).map((body, j) => ({
      Id: String(j),
      MessageBody: body,
      MessageGroupId: body.slice(0, 1),
      MessageDeduplicationId: body,
    }));
    await aws.sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  }
}

/** Breaks every second call, in alternating ways. */
function everySecond(kinds: readonly Break[]): () => Break {
  let calls = 0;
  return () => {
    calls += 1;
    return calls % 2 === 0 ? (kinds[(calls / 2) % kinds.length] as Break) : 'pass';
  };
}

/** Receives all messages without deleting them: ministack also delivers the next ones only when these are deleted. */
async function take({ aws, outgoing }: Place): Promise<readonly SqsMessage[]> {
  const QueueUrl = `${aws.url}${new URL(outgoing).pathname}`;
  const all: SqsMessage[] = [];
  for (;;) {
    const { Messages = [] } = await aws.sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['All'],
      }),
    );
    if (Messages.length === 0) return all;
    all.push(...Messages);
  }
}

test('on ministack, a node signs in with SRP, calls the API, receives, sends and uploads', async () => {
  await using aws = await Ministack.start();
  await using proxy = await FaultProxy.start(() => aws.url);
  const world = await place(aws, proxy);
  await fill(world, ['a1', 'a2', 'b1']);
  let failed = false;
  const node = new TestNode(world.options, async ({ message: { body, groupId, trackingId } }, self) => {
    if (body === 'a1' && !failed) {
      failed = true;
      throw new Error('once');
    }
    await self.sendMessage(self.createMessage(`${body} ü`, { groupId, previousTrackingIds: [trackingId] }));
  });
  await node.start();
  assert.deepEqual(node.config, { a: 1, b: 2 });
  await eventually(() => node.handled.length === 3);
  assert.deepEqual(
    node.handled.filter((body) => body.startsWith('a')),
    ['a1', 'a2'],
  );
  const url = await node.handleBulkData('large');
  await node.stop();
  const stored = Buffer.from(await (await fetch(url)).arrayBuffer());
  assert.equal(gunzipSync(stored).toString(), 'large');
  const sent = await take(world);
  assert.deepEqual(
    sent.map(({ Body = '' }) => Body).toSorted((a, b) => a.localeCompare(b)),
    ['a1 ü', 'a2 ü', 'b1 ü'],
  );
  for (const { Attributes, MessageAttributes } of sent) {
    assert.equal(Attributes?.MessageDeduplicationId, MessageAttributes?.trackingId?.StringValue);
    assert.match(MessageAttributes?.prevTrackingIds?.StringValue ?? '', /^\["[0-9a-f]{32}"\]$/);
  }
});

test("on ministack, a node of an app with table access writes and reads the tenant's table", async () => {
  await using aws = await Ministack.start();
  await using proxy = await FaultProxy.start(() => aws.url);
  const { options } = await place(aws, proxy);
  const dynamo = new DynamoDBClient({
    endpoint: aws.url,
    region: 'us-east-1',
    credentials: { accessKeyId: '000000000000', secretAccessKey: 'test' },
  });
  await dynamo.send(
    new CreateTableCommand({
      TableName: 'table',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
  dynamo.destroy();
  await using node = new TestNode(options);
  await node.start();
  const { name: TableName, documents } = node.table;
  const Item = { id: 'one', count: 1, tags: ['a', 'b'] };
  await documents.send(new PutCommand({ TableName, Item: { ...Item, nothing: undefined } }));
  const found = await documents.send(new GetCommand({ TableName, Key: { id: 'one' } }));
  assert.deepEqual(found.Item, Item);
});

test('on ministack, over an unreliable network, all messages arrive in the order of their groups', async () => {
  await using aws = await Ministack.start();
  await using proxy = await FaultProxy.start(() => aws.url);
  const world = await place(aws, proxy);
  const bodies = 'abcde'.split('').flatMap((group) => Array.from({ length: 40 }, (_, i) => `${group}${i}`));
  await fill(world, bodies);
  const kinds: readonly Break[] = ['refuse', 'reset', 'throttle', 'expire', 'slow', 'fail one'];
  const [ofBatches, ofReceives] = [everySecond(kinds), everySecond(kinds.slice(0, -1))];
  proxy.decide = (action) => {
    if (action.endsWith('Batch')) return ofBatches();
    return action === 'ReceiveMessage' ? ofReceives() : 'pass';
  };
  await using node = new TestNode({ ...world.options, concurrency: 3, visibilityTimeout: 3 } as NodeOptions);
  await node.start();
  await eventually(() => new Set(node.handled).size === bodies.length);
  for (const group of 'abcde'.split('')) {
    const first = [...new Set(node.handled)].filter((body) => body.startsWith(group));
    assert.deepEqual(
      first,
      bodies.filter((body) => body.startsWith(group)),
    );
  }
  for (const kind of kinds) assert.ok((proxy.broken.get(kind) ?? 0) > 0, `never: ${kind}`);
});
