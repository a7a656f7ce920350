/**
 * A managed app as EchoStream has it: ministack plays Cognito, AppSync and SQS, behind a proxy that can break any of them.
 */

import { randomUUID } from 'node:crypto';
import { GetQueueAttributesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { FaultProxy } from '../../packages/echostream-node/test/support/fault-proxy.ts';
import { Ministack } from '../../packages/echostream-node/test/support/ministack.ts';

export const AWS_KEY = { accessKeyId: '000000000000', secretAccessKey: 'test' };

const NAME = 'demo';
const RECEIVER = `${NAME}:Change Receiver`;
const TENANT = { audit: false, name: 'tenant', region: 'us-east-1', table: 'table' };
const COUNTS = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;

type Identity = Awaited<ReturnType<Ministack['makeIdentity']>>;

export class EchoStreamApp implements AsyncDisposable {
  readonly aws: Ministack;
  readonly proxy: FaultProxy;
  readonly #identity: Identity;
  readonly #queue: string;

  /** The app has no nodes at first. */
  static async open(): Promise<EchoStreamApp> {
    const aws = await Ministack.start();
    const proxy = await FaultProxy.start(() => aws.url);
    const queue = await aws.makeQueue('changes', proxy.url);
    const app = { __typename: 'ManagedApp', auditRecordsEndpoint: aws.url, name: NAME };
    const identity = await aws.makeIdentity(proxy.url, {
      GetNode: {
        __typename: 'AppChangeReceiverNode',
        app,
        name: RECEIVER,
        receiveEdge: { queue, source: { name: 'App Change Router' } },
        receiveMessageType: { auditor: '', name: 'echo.change' },
        tenant: TENANT,
      },
    });
    const one = new EchoStreamApp(aws, proxy, identity, queue);
    await one.want([]);
    return one;
  }

  private constructor(aws: Ministack, proxy: FaultProxy, identity: Identity, queue: string) {
    this.aws = aws;
    this.proxy = proxy;
    this.#identity = identity;
    this.#queue = queue;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.aws[Symbol.asyncDispose]();
  }

  /** The variables that EchoStream gives to a host. */
  get env() {
    const { appsyncEndpoint, clientId, password, userPoolId, username } = this.#identity;
    return {
      NODES_FEED: 'echostream',
      APP: NAME,
      APPSYNC_ENDPOINT: String(appsyncEndpoint),
      AWS_DEFAULT_REGION: TENANT.region,
      CLIENT_ID: String(clientId),
      LOG_GROUP_NAME: `/echostream/managed-app/${NAME}`,
      PASSWORD: String(password),
      TENANT: TENANT.name,
      USER_NAME: String(username),
      USER_POOL_ID: String(userPoolId),
      AWS_ENDPOINT_URL: this.proxy.url,
    };
  }

  /** @param nodes null removes the app */
  async want(nodes: readonly object[] | null): Promise<void> {
    const app = nodes && {
      __typename: 'ManagedApp',
      auditRecordsEndpoint: this.aws.url,
      GetAwsCredentials: { ...AWS_KEY, expiration: '2099-01-01T00:00:00Z', sessionToken: 'test' },
      name: NAME,
      nodes: [{ __typename: 'AppChangeReceiverNode', name: RECEIVER }, ...nodes],
      tenant: TENANT,
    };
    await this.aws.answer(String(this.#identity.appsyncEndpoint), 'GetApp', app);
  }

  /** Tells the host of a change. */
  async change(now: object | null, old: object | null): Promise<void> {
    const change = {
      datetime: new Date().toISOString(),
      lastModified: { at: '', by: '' },
      system: false,
      tenant: TENANT.name,
      ...(now && { new: now }),
      ...(old && { old }),
    };
    await this.aws.sqs.send(
      new SendMessageCommand({
        QueueUrl: this.#queueOfAws,
        MessageBody: JSON.stringify(change),
        MessageGroupId: 'g',
        MessageDeduplicationId: randomUUID(),
        MessageAttributes: { trackingId: { DataType: 'String', StringValue: randomUUID() } },
      }),
    );
  }

  /** How many changes the host has not acknowledged. */
  async waiting(): Promise<number> {
    const { Attributes = {} } = await this.aws.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: this.#queueOfAws, AttributeNames: [...COUNTS] }),
    );
    return COUNTS.reduce((sum, name) => sum + Number(Attributes[name]), 0);
  }

  get #queueOfAws(): string {
    return `${this.aws.url}${new URL(this.#queue).pathname}`;
  }
}
