/**
 * Everything that a node talks to, on one loopback port: Cognito, the EchoStream API, SQS, S3's presigned posts, and
 * the function that receives audit records. Tests can make each part fail.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { NodeAnswer } from '../../src/api/queries.ts';
import type { AuditRecord } from '../../src/audits.ts';
import { systemClock } from '../../src/clock.ts';
import type { NodeOptions } from '../../src/options.ts';
import { FakeCognito } from './fake-cognito.ts';
import { answerSqs } from './fake-sqs.ts';
import { MemoryQueue } from './memory-queue.ts';
import { quietLogger } from './sources.ts';

export const PASSWORD = 'the password of the tests';

type Part = 'api' | 'audit' | 'cognito' | 'sqs' | 'upload';

interface Audit {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly messageType: string;
  readonly auditRecords: readonly AuditRecord[];
}

export class World implements AsyncDisposable {
  readonly cognito = new FakeCognito(PASSWORD);
  readonly #queues = new Map<string, MemoryQueue>();
  readonly #server: Server;
  readonly url: string;
  readonly audits: Audit[] = [];
  readonly uploads = new Map<string, Buffer>();
  /** The received queries, by name. */
  readonly queries: string[] = [];
  /** The next answers of a part: a status in place of the real answer. */
  readonly failures: Record<Part, number[]> = { api: [], audit: [], cognito: [], sqs: [], upload: [] };
  /** Access keys with which SQS was called. */
  readonly keys = new Set<string>();
  /** Access keys that AWS no longer accepts. */
  readonly expiredKeys = new Set<string>();
  credentials = 0;
  /** Seconds for which an upload target is valid. */
  placesLast = 1800;
  /** Whether upload targets of the acceleration endpoint were requested last. */
  asksAcceleration: unknown;
  #apiHeld: Promise<void> | undefined;
  #places = 0;
  node: NodeAnswer;
  /** A managed app, if there is one. */
  app: object | null = null;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
    this.node = {
      __typename: 'ExternalNode',
      app: {
        __typename: 'ExternalApp',
        auditRecordsEndpoint: `${url}/audit`,
        config: null,
        name: 'app',
        tableAccess: false,
      },
      config: null,
      receiveEdges: [{ queue: this.queueUrl('in'), source: { name: 'before' } }],
      receiveMessageType: { auditor: 'def auditor(): pass', name: 'text' },
      sendEdges: [{ queue: this.queueUrl('out'), target: { name: 'after' } }],
      sendMessageType: { auditor: null, name: 'text' },
      stopped: false,
      tenant: { audit: true, config: null, region: 'us-east-1', table: 'table' },
    };
  }

  static async start(): Promise<World> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const world = new World(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request, response) => {
      world.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    // AWS's clients find their services with these variables.
    Object.assign(process.env, world.environment);
    return world;
  }

  get environment(): Record<string, string> {
    return { AWS_ENDPOINT_URL: this.url, AWS_EC2_METADATA_DISABLED: 'true' };
  }

  get options(): NodeOptions & { name: string } {
    return {
      appsyncEndpoint: `${this.url}/graphql`,
      clientId: 'client',
      name: 'my node',
      password: PASSWORD,
      tenant: 'tenant',
      userPoolId: 'us-east-1_abc123',
      username: 'user',
      logger: quietLogger,
    };
  }

  queueUrl(name: string): string {
    return `${this.url}/000000000000/${name}.fifo`;
  }

  queue(name: string): MemoryQueue {
    const url = this.queueUrl(name);
    const queue = this.#queues.get(url) ?? new MemoryQueue(systemClock);
    this.#queues.set(url, queue);
    return queue;
  }

  /** The API answers no query until the returned function is called. */
  holdApi(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#apiHeld = promise;
    return resolve;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const target = String(request.headers['x-amz-target'] ?? '');
    const part = partOf(request.url ?? '', target);
    const failure = this.failures[part].shift();
    const [status, answer] = failure
      ? [failure, {}]
      : await this.#answer(part, request, response, target, body);
    if (part === 'cognito' || part === 'audit')
      response.setHeader('date', new Date(Date.now() + this.cognito.ahead).toUTCString());
    const text = answer === undefined ? '' : JSON.stringify(answer);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(text);
  }

  async #answer(
    part: Part,
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
    body: Buffer,
  ): Promise<readonly [number, unknown?]> {
    const action = target.slice(target.indexOf('.') + 1);
    if (part === 'cognito') return this.cognito.answer(action, JSON.parse(body.toString()));
    if (part === 'api') {
      const answer = this.#answerApi(String(request.headers.authorization), JSON.parse(body.toString()));
      await this.#apiHeld;
      return answer;
    }
    if (part === 'audit') {
      const json = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      const { url: path = '', headers } = request;
      this.audits.push({ path, headers, body, ...JSON.parse(json.toString()) });
      return [200, {}];
    }
    if (part === 'upload') return this.#takeUpload(request, body);
    const key = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    this.keys.add(key);
    if (this.expiredKeys.has(key))
      return [403, { __type: 'ExpiredToken', message: 'The security token is expired' }];
    const given = JSON.parse(body.toString());
    const queue = this.#queues.get(given.QueueUrl);
    if (!queue) return [400, { __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'no such queue' }];
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    return [200, await answerSqs(action, given, queue, gone.signal)];
  }

  #answerApi(token: string, { query, variables }: { query: string; variables: Record<string, unknown> }) {
    if (!this.cognito.tokens.has(token)) {
      return [
        401,
        { errors: [{ errorType: 'UnauthorizedException', message: 'the token is not valid' }] },
      ] as const;
    }
    const name = /query (\w+)/.exec(query)?.[1] ?? '';
    this.queries.push(name);
    if (name === 'getNode')
      return [200, { data: { GetNode: variables.name === 'unknown' ? null : this.node } }] as const;
    if (name === 'getManagedApp') return [200, { data: { GetApp: this.app } }] as const;
    if (name === 'getAwsCredentials') {
      this.credentials += 1;
      const GetAwsCredentials = {
        accessKeyId: `key-${this.credentials}`,
        secretAccessKey: 'secret',
        sessionToken: 'session',
        expiration: new Date(Date.now() + 3600_000).toISOString(),
      };
      return [200, { data: { GetApp: { GetAwsCredentials } } }] as const;
    }
    this.asksAcceleration = variables.useAccelerationEndpoint;
    const places = Array.from({ length: variables.count as number }, () => {
      this.#places += 1;
      const url = `${this.url}/upload/${this.#places}`;
      const expiration = Math.floor(Date.now() / 1000) + this.placesLast;
      return {
        expiration,
        presignedGet: url,
        presignedPost: { fields: { key: String(this.#places), policy: 'p' }, url },
      };
    });
    return [200, { data: { GetBulkDataStorage: places } }] as const;
  }

  async #takeUpload(request: IncomingMessage, body: Buffer): Promise<readonly [number, unknown?]> {
    if (!request.headers['content-length']) return [411];
    const form = await new Response(body, {
      headers: { 'content-type': request.headers['content-type'] ?? '' },
    }).formData();
    const file = form.get('file') as unknown as Blob;
    if (form.get('key') !== request.url?.split('/').at(-1)) return [403];
    this.uploads.set(`${this.url}${request.url}`, gunzipSync(Buffer.from(await file.arrayBuffer())));
    return [204];
  }
}

function partOf(path: string, target: string): Part {
  if (path.startsWith('/audit')) return 'audit';
  if (path.startsWith('/graphql')) return 'api';
  if (path.startsWith('/upload')) return 'upload';
  return target.startsWith('AmazonSQS') ? 'sqs' : 'cognito';
}

/** Polls every few milliseconds, because the condition depends on the other side of a connection. */
export async function eventually(holds: () => boolean): Promise<void> {
  const end = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`this did not happen within 30 s: ${String(holds)}`);
    await systemClock.sleep(5);
  }
}
