/** Simulates AWS's JSON services with one function for each action. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ECSClient } from '@aws-sdk/client-ecs';

export type Body = Readonly<Record<string, unknown>>;

/** An AWS error instead of an answer. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, message = 'as the test wants') {
    super(message);
    this.code = code;
  }
}

export class JsonAws implements AsyncDisposable {
  readonly #server: Server;
  /** The settings for every client of this simulation. */
  readonly settings;
  readonly ecs: ECSClient;
  readonly logs: CloudWatchLogsClient;
  readonly calls: { action: string; body: Body }[] = [];
  actions: Readonly<Record<string, (body: Body) => object>> = {};

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as { port: number };
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'test' };
    this.settings = {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials,
      maxAttempts: 1,
    };
    this.ecs = new ECSClient(this.settings);
    this.logs = new CloudWatchLogsClient(this.settings);
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<JsonAws> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new JsonAws(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ecs.destroy();
    this.logs.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Body = JSON.parse((await request.toArray()).join('') || '{}');
    const action = String(request.headers['x-amz-target']).split('.').at(-1) ?? '';
    this.calls.push({ action, body });
    try {
      const answer = this.actions[action]?.(body) ?? {};
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
    } catch (error) {
      const { code, message } =
        error instanceof Refusal ? error : new Refusal('InternalFailure', String(error));
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify({ __type: code, message }));
    }
  }
}
