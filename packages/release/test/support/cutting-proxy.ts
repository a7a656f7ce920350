/** A proxy in front of a registry that resets the connection in the middle of the first blobs. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Small blobs, such as the configuration of an image, arrive in one piece. */
const LEAST = 100_000;

export class CuttingProxy implements AsyncDisposable {
  /** Names of the requests that were cut, such as `GET /v2/web/blobs/sha256:…`. */
  readonly cut: string[] = [];
  readonly registry: string;
  readonly #server: Server;
  readonly #target: string;
  readonly #times: number;

  private constructor(server: Server, target: string, times: number) {
    this.#server = server;
    this.#target = target;
    this.#times = times;
    this.registry = `localhost:${(server.address() as AddressInfo).port}`;
  }

  /**
   * @param target such as localhost:5000
   * @param times the number of transfers to cut
   */
  static async start(target: string, times: number): Promise<CuttingProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new CuttingProxy(server, target, times);
    server.on('request', (given, response) => {
      proxy.#pass(given, response).catch(() => given.socket.resetAndDestroy());
    });
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #pass(given: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = given;
    // The host name stays unchanged, so that the registry's answers refer to this proxy.
    const passed = request(new URL(url, `http://${this.#target}`), { method, headers });
    const answered = once(passed, 'response');
    answered.catch(() => {});
    for await (const chunk of given) {
      passed.write(chunk);
      if (this.#cuts(given, Number.POSITIVE_INFINITY)) return void given.socket.resetAndDestroy();
    }
    passed.end();
    const [result] = (await answered) as [IncomingMessage];
    response.writeHead(result.statusCode ?? 500, result.headers);
    for await (const chunk of result) {
      response.write(chunk);
      if (this.#cuts(given, Number(result.headers['content-length'])))
        return void given.socket.resetAndDestroy();
    }
    response.end();
  }

  #cuts({ method, url = '' }: IncomingMessage, length: number): boolean {
    if (this.cut.length >= this.#times || !url.includes('/blobs/') || length < LEAST) return false;
    this.cut.push(`${method} ${url}`);
    return true;
  }
}
