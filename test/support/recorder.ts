/** A service outside the host that records requests and can be told to fail. */

import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Socket, type Server as TcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import type { KeyPair } from '../../httpserver/self-signed-certificate.ts';

export interface Request {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The ways in which a service can fail. `refuses` accepts no connections, `silent` accepts them without TLS, `hangs` accepts
 * requests and does not answer them, `drips` never finishes its answer.
 */
export const FAULTS = [
  ...(['refuses', 'silent', 'resets', 'hangs', 'drips', 'floods', 'garbage'] as const),
  ...(['400', '404', '429', '500'] as const),
];
export type Fault = (typeof FAULTS)[number];

export interface RecorderOptions {
  readonly reply: (request: Request) => Reply | Promise<Reply>;
  readonly address?: string;
  readonly port?: number;
  /** Enables HTTPS. */
  readonly tls?: KeyPair;
}

export class Recorder {
  readonly requests: Request[] = [];
  fault: Fault | undefined;
  /** The connections that were made to it. */
  connections = 0;
  readonly #reply: RecorderOptions['reply'];
  readonly #server: ReturnType<typeof createHttp>;
  readonly #sockets = new Set<Socket>();
  readonly #tls: boolean;
  #address!: AddressInfo;
  #standIn: TcpServer | undefined;
  #waiting: (() => void)[] = [];

  static async open(options: RecorderOptions): Promise<Recorder> {
    const recorder = new Recorder(options);
    recorder.#server.listen(options.port ?? 0, options.address ?? '127.0.0.1');
    await once(recorder.#server, 'listening');
    recorder.#address = recorder.#server.address() as AddressInfo;
    return recorder;
  }

  private constructor({ reply, tls }: RecorderOptions) {
    this.#reply = reply;
    this.#tls = tls !== undefined;
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server = tls ? createHttps(tls, answer) : createHttp(answer);
    this.#server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {}));
    });
  }

  get url(): string {
    const { address, port } = this.#address;
    return `${this.#tls ? 'https' : 'http'}://${address}:${port}`;
  }

  /** Fails from now on. */
  async turn(fault: Fault): Promise<void> {
    this.fault = fault;
    if (fault !== 'refuses' && fault !== 'silent') return;
    const { address, port } = this.#address;
    await this.close();
    if (fault === 'refuses') return;
    this.#standIn = createTcp((socket) => void this.#sockets.add(socket.on('error', () => {})));
    await once(this.#standIn.listen(port, address), 'listening');
  }

  /** Works again. */
  async mend(): Promise<void> {
    this.fault = undefined;
    if (this.#standIn?.listening) await once(this.#standIn.close(), 'close');
    if (this.#server.listening) return;
    const { address, port } = this.#address;
    await once(this.#server.listen(port, address), 'listening');
  }

  /** The first request that `matches`; waits for it if necessary. */
  async request(matches: (request: Request) => boolean): Promise<Request> {
    for (const patience = AbortSignal.timeout(30_000); ; ) {
      const found = this.requests.find(matches);
      if (found) return found;
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        patience.addEventListener('abort', () => reject(new Error('no such request arrived')));
      });
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#server, this.#standIn]) {
      if (server?.listening) await once(server.close(), 'close');
    }
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const request = { at: Date.now(), method, path: url, headers, body: await text(incoming) };
    this.requests.push(request);
    for (const wake of this.#waiting.splice(0)) wake();
    if (this.fault) return this.#misbehave(this.fault, incoming.socket, response);
    const { status, body, headers: sent = {} } = await this.#reply(request);
    response.writeHead(status, sent).end(body);
  }

  #misbehave(fault: Fault, socket: Socket, response: ServerResponse): void {
    if (/^\d/.test(fault)) response.writeHead(Number(fault)).end('{"status":"no"}');
    if (fault === 'drips') {
      const drip = setInterval(() => response.write(' '), 100);
      response.on('close', () => clearInterval(drip)).writeHead(200);
    }
    if (fault === 'garbage') response.writeHead(200).end('<html>\u0000 not what was asked for');
    if (fault === 'resets') {
      // Below TLS, which has no reset.
      for (const one of this.#sockets) if (one.remotePort === socket.remotePort) one.resetAndDestroy();
    }
    if (fault === 'floods') {
      const flood = () => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', flood);
      };
      response.on('error', () => {}).writeHead(200);
      flood();
    }
  }
}
