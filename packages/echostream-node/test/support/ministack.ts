/** A local AWS: ministack in its own process, on loopback, with everything that a node needs. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  AdminCreateUserCommand,
  AdminSetUserPasswordCommand,
  CognitoIdentityProviderClient,
  CreateUserPoolClientCommand,
  CreateUserPoolCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { systemClock } from '../../src/clock.ts';
import type { NodeOptions } from '../../src/options.ts';
import { SCHEMA } from './echo-schema.ts';
import { quietLogger } from './sources.ts';

const PROGRAM = join(import.meta.dirname, '../../../../tools/aws/.venv/bin/ministack');
const PASSWORD = 'A long Passw0rd of the tests!';
const KEY = { accessKeyId: '000000000000', secretAccessKey: 'test' };
/** The time limit for ministack's first answer, in milliseconds. */
const PATIENCE = 60_000;

/** The answer of each query of the API, by its name. */
export type Answers = Readonly<Record<string, unknown>>;

export class Ministack implements AsyncDisposable {
  readonly url: string;
  readonly sqs: SQSClient;
  readonly #end: () => Promise<void>;

  private constructor(url: string, end: () => Promise<void>) {
    this.url = url;
    this.#end = end;
    this.sqs = new SQSClient({ endpoint: url, region: 'us-east-1', credentials: KEY });
  }

  static async start(): Promise<Ministack> {
    if (!existsSync(PROGRAM)) throw new Error('ministack is not installed; run make tools/aws/.venv/.stamp');
    const port = await freePort();
    const child = spawn(PROGRAM, [], {
      env: { PATH: process.env.PATH, BIND_HOST: '127.0.0.1', GATEWAY_PORT: String(port), LOG_LEVEL: 'ERROR' },
      stdio: 'ignore',
    });
    const ended = once(child, 'close');
    const url = `http://127.0.0.1:${port}`;
    const end = Date.now() + PATIENCE;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`ministack exited with code ${child.exitCode}`);
      if (Date.now() > end) throw new Error('ministack does not answer');
      if (
        await fetch(`${url}/_localstack/health`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        break;
      await systemClock.sleep(50);
    }
    return new Ministack(url, async () => {
      child.kill('SIGTERM');
      await ended;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sqs.destroy();
    await this.#end();
  }

  /** Makes a FIFO queue, and returns its URL as seen through `origin`. */
  async makeQueue(name: string, origin: string): Promise<string> {
    const Attributes = { FifoQueue: 'true', ContentBasedDeduplication: 'true' };
    const { QueueUrl } = await this.sqs.send(
      new CreateQueueCommand({ QueueName: `${name}.fifo`, Attributes }),
    );
    return `${origin}${new URL(QueueUrl ?? '').pathname}`;
  }

  /** Makes a bucket for bulk data, and returns its URL. */
  async makeBucket(name: string): Promise<string> {
    await this.#call('PUT', `/${name}`, 's3');
    return `${this.url}/${name}`;
  }

  /** Makes a user and an API with these answers, and returns the node's identity. */
  async makeIdentity(origin: string, answers: Answers): Promise<NodeOptions> {
    const cognito = new CognitoIdentityProviderClient({
      endpoint: this.url,
      region: 'us-east-1',
      credentials: KEY,
    });
    const { UserPool } = await cognito.send(new CreateUserPoolCommand({ PoolName: 'app' }));
    const UserPoolId = UserPool?.Id ?? '';
    const { UserPoolClient } = await cognito.send(
      new CreateUserPoolClientCommand({
        UserPoolId,
        ClientName: 'node',
        ExplicitAuthFlows: ['ALLOW_USER_SRP_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      }),
    );
    const Username = 'app-user';
    await cognito.send(new AdminCreateUserCommand({ UserPoolId, Username, MessageAction: 'SUPPRESS' }));
    await cognito.send(
      new AdminSetUserPasswordCommand({ UserPoolId, Username, Password: PASSWORD, Permanent: true }),
    );
    return {
      appsyncEndpoint: `${origin}/v1/apis/${await this.#makeApi(answers)}/graphql`,
      clientId: UserPoolClient?.ClientId ?? '',
      name: 'my node',
      password: PASSWORD,
      tenant: 'tenant',
      userPoolId: UserPoolId,
      username: Username,
      logger: quietLogger,
    };
  }

  /** Sets the answer of a query of an API that `makeIdentity` has made. */
  async answer(appsyncEndpoint: string, query: string, result: unknown): Promise<void> {
    await this.#resolve(new URL('.', appsyncEndpoint).pathname.slice(0, -1), query, result);
  }

  async #makeApi(answers: Answers): Promise<string> {
    const made = await this.#call('POST', '/v1/apis', 'appsync', {
      name: 'echo',
      authenticationType: 'AMAZON_COGNITO_USER_POOLS',
    });
    const { apiId } = made.graphqlApi as { apiId: string };
    const api = `/v1/apis/${apiId}`;
    await this.#call('POST', `${api}/schemacreation`, 'appsync', {
      definition: Buffer.from(SCHEMA).toString('base64'),
    });
    await this.#call('POST', `${api}/datasources`, 'appsync', { name: 'none', type: 'NONE' });
    for (const [query, result] of Object.entries(answers)) await this.#resolve(api, query, result);
    return apiId;
  }

  async #resolve(api: string, fieldName: string, result: unknown): Promise<void> {
    const code = `export const request = () => ({ payload: ${JSON.stringify(result)} });
      export const response = (ctx) => ctx.result;`;
    const runtime = { name: 'APPSYNC_JS', runtimeVersion: '1.0.0' };
    await this.#call('POST', `${api}/types/Query/resolvers`, 'appsync', {
      fieldName,
      dataSourceName: 'none',
      code,
      runtime,
    });
  }

  async #call(
    method: string,
    path: string,
    service: string,
    body?: object,
  ): Promise<Record<string, unknown>> {
    const authorization = `AWS4-HMAC-SHA256 Credential=${KEY.accessKeyId}/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=0`;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : {};
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
