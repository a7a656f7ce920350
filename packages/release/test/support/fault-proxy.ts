/**
 * Stands before ministack and is less kind: it throttles, fails, breaks connections after the work was done, answers
 * from a copy that is behind, and gives short pages. It counts the calls.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Break = 'throttle' | 'fail' | 'refuse' | 'reset' | 'stale' | undefined;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly content: Buffer;
}

export class FaultProxy implements AsyncDisposable {
  readonly calls = new Map<string, number>();
  readonly broken = new Map<Break, number>();
  readonly url: string;
  /** Decides by the action, such as `UpdateService`. */
  decide: (action: string) => Break = () => undefined;
  /** Entries of a page. */
  pageSize: number | undefined;
  readonly #server: Server;
  readonly #target: string;
  readonly #last = new Map<string, Answer>();

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(target: string): Promise<FaultProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultProxy(server, target);
    server.on('request', (given, response) => {
      proxy.#pass(given, response).catch(() => response.destroy());
    });
    return proxy;
  }

  get total(): number {
    return [...this.calls.values()].reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #pass(given: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await given.toArray());
    const action = String(given.headers['x-amz-target'] ?? '').split('.')[1] ?? `${given.method} S3`;
    this.calls.set(action, (this.calls.get(action) ?? 0) + 1);
    const what = this.decide(action);
    if (what) this.broken.set(what, (this.broken.get(what) ?? 0) + 1);
    if (what === 'refuse') return void given.socket.destroy();
    if (what === 'throttle') return failed(response, 400, 'ThrottlingException', 'Rate exceeded');
    if (what === 'fail') return failed(response, 503, 'ServiceUnavailable', 'Try again');
    const key = `${action} ${body.toString()}`;
    const known = this.#last.get(key);
    const answer = what === 'stale' && known ? known : await this.#forward(given, this.#paged(action, body));
    this.#last.set(key, answer);
    const { status, headers, content } = answer;
    if (what !== 'reset') return void response.writeHead(status, headers).end(content);
    response
      .writeHead(status, { ...headers, 'content-length': content.length + 1 })
      .write(content.subarray(0, 10));
    setTimeout(() => given.socket.destroy(), 5);
  }

  /** Asks for a short page. */
  #paged(action: string, body: Buffer): Buffer {
    if (this.pageSize === undefined || !/^(List|DescribeImages)/.test(action)) return body;
    const size = action === 'ListTargetsByRule' || action === 'ListRules' ? 'Limit' : 'maxResults';
    return Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), [size]: this.pageSize }));
  }

  async #forward(given: IncomingMessage, body: Buffer): Promise<Answer> {
    const target = new URL(given.url ?? '/', this.#target);
    const headers = { ...given.headers, 'content-length': String(body.length) };
    const passed = request(target, { method: given.method ?? 'GET', headers });
    passed.end(body);
    const [result] = (await once(passed, 'response')) as [IncomingMessage];
    return {
      status: result.statusCode ?? 500,
      headers: result.headers,
      content: Buffer.concat(await result.toArray()),
    };
  }
}

function failed(response: ServerResponse, status: number, type: string, message: string): void {
  const content = JSON.stringify({ __type: type, message });
  response
    .writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': type })
    .end(content);
}
