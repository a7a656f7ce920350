/** A proxy in front of the simulated AWS that breaks some of the requests. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/**
 * Refuse: nothing happened. Reset: the request was executed, and its answer breaks off. Throttle and expire: the service's own
 * errors.
 * Slow: the answer is late. Fail one: one entry of a batch is not passed on.
 */
export type Break = 'pass' | 'refuse' | 'reset' | 'throttle' | 'expire' | 'slow' | 'fail one';

interface Entries {
  readonly Entries?: readonly { readonly Id: string }[];
}

export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: () => string;
  readonly url: string;
  /** Decides by the action, such as `ReceiveMessage`. A call to AppSync has none. */
  decide: (action: string) => Break = () => 'pass';
  readonly broken = new Map<Break, number>();

  private constructor(server: Server, target: () => string) {
    this.#server = server;
    this.#target = target;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(target: () => string): Promise<FaultProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultProxy(server, target);
    server.on('request', (given, response) => {
      proxy.#pass(given, response).catch(() => response.destroy());
    });
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #pass(given: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = Buffer.concat(await given.toArray());
    const action = String(given.headers['x-amz-target'] ?? '').split('.')[1] ?? '';
    const what = this.decide(action);
    this.broken.set(what, (this.broken.get(what) ?? 0) + 1);
    if (what === 'refuse') return void given.socket.destroy();
    if (action === '' && what === 'throttle') return answer(response, 429, {});
    if (action === '' && what === 'expire') return answer(response, 401, {});
    if (what === 'throttle')
      return answer(response, 400, { __type: 'ThrottlingException', message: 'Rate exceeded' });
    if (what === 'expire')
      return answer(response, 403, { __type: 'ExpiredToken', message: 'The token is expired' });
    const { Entries: [left, ...passed] = [] }: Entries =
      what === 'fail one' ? JSON.parse(body.toString()) : {};
    const failsOne = left !== undefined && passed.length > 0;
    if (failsOne) body = Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), Entries: passed }));
    const { status, headers, content } = await this.#forward(given, body, response);
    if (what === 'slow') await setTimeout(200);
    if (what === 'reset') {
      response
        .writeHead(status, { ...headers, 'content-length': content.length + 1 })
        .write(content.subarray(0, 10));
      return void setTimeout(5).then(() => given.socket.destroy());
    }
    if (!failsOne || status !== 200) return void response.writeHead(status, headers).end(content);
    const results = JSON.parse(content.toString());
    const Failed = [...(results.Failed ?? []), { Id: left.Id, Code: 'InternalError', SenderFault: false }];
    answer(response, 200, { ...results, Failed });
  }

  async #forward(given: IncomingMessage, body: Buffer, response: ServerResponse) {
    const target = new URL(given.url ?? '/', this.#target());
    const headers = { ...given.headers, 'content-length': String(body.length) };
    const passed = request(target, { method: given.method ?? 'GET', headers });
    response.on('close', () => passed.destroy());
    passed.end(body);
    const [result] = (await once(passed, 'response')) as [IncomingMessage];
    const content = Buffer.concat(await result.toArray());
    return { status: result.statusCode ?? 500, headers: result.headers, content };
  }
}

function answer(response: ServerResponse, status: number, content: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(content));
}
