/** A Docker Engine that supports only image calls: the test plays each pull. Tests that can use the real Engine do so. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ObservedCall } from '../../docker-engine/calls.ts';
import { Docker } from '../../docker-engine/docker.ts';

export const DIGEST = `sha256:${'d'.repeat(64)}`;

/** One call to Docker, from start to end. */
export class PlayedPull {
  readonly asked: URLSearchParams;
  /** undefined if there were no credentials. */
  readonly auth: unknown;
  /** Resolves when the client has disconnected, or everything is sent. */
  readonly closed: Promise<unknown>;
  readonly #response: ServerResponse;

  constructor({ url = '', headers }: IncomingMessage, response: ServerResponse) {
    this.asked = new URL(url, 'http://docker').searchParams;
    const auth = headers['x-registry-auth'];
    this.auth = typeof auth === 'string' && JSON.parse(Buffer.from(auth, 'base64url').toString());
    this.#response = response;
    this.closed = once(response, 'close');
  }

  /** @param lines objects, or texts that are sent unchanged */
  say(...lines: readonly (object | string)[]): void {
    for (const line of lines)
      this.#response.write(typeof line === 'string' ? line : `${JSON.stringify(line)}\r\n`);
  }

  /** Resolves when the client's side has received it. */
  async said(): Promise<void> {
    await new Promise<unknown>((resolve) => this.#response.write('', resolve));
  }

  layer(id: string, status: string, current?: number, total?: number): void {
    this.say({ status, progressDetail: current === undefined ? {} : { current, total }, id });
  }

  /** Ends a pull like a successful one in Docker. */
  finish(): void {
    this.say({ status: `Digest: ${DIGEST}` }, { status: 'Status: Downloaded newer image' });
    this.end();
  }

  end(): void {
    this.#response.end();
  }

  refuse(status: number, message: string): void {
    this.#response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
  }

  cut(): void {
    this.#response.destroy();
  }
}

export class PullingEngine {
  readonly docker: Docker;
  readonly pulls: PlayedPull[] = [];
  readonly calls: ObservedCall[];
  /** The images that can be inspected. */
  readonly images = new Set<string>();
  #more = Promise.withResolvers<void>();

  static async open(t: TestContext): Promise<PullingEngine> {
    const path = join(tmpdir(), `engine-${randomUUID()}.sock`);
    const server = createServer((request, response) => engine.#answer(request, response));
    const calls: ObservedCall[] = [];
    const engine = new PullingEngine(await Docker.open(path, (call) => calls.push(call)), calls);
    await once(server.listen(path), 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return engine;
  }

  private constructor(docker: Docker, calls: ObservedCall[]) {
    this.docker = docker;
    this.calls = calls;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '' } = request;
    const inspected = /^\/images\/(.+)\/json$/.exec(decodeURIComponent(url))?.[1];
    if (method === 'POST' && url.startsWith('/images/create?')) {
      this.pulls.push(new PlayedPull(request, response));
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    } else if (inspected !== undefined && this.images.has(inspected)) {
      response.setHeader('content-type', 'application/json').end('{"Id":"sha256:abc","Size":4096}');
    } else {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"No such image"}');
    }
  }

  /** The pull with this number, from 0, once it was requested. */
  async pull(number: number): Promise<PlayedPull> {
    while (this.pulls.length <= number) await this.#more.promise;
    return this.pulls[number] as PlayedPull;
  }
}
