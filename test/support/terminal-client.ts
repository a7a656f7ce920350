/** A program that uses a terminal over the WebSocket of a service's unix socket. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { WebSocket } from 'ws';

export class TerminalClient implements Disposable {
  readonly socket: WebSocket;
  /** The text messages, and the number of printed bytes. */
  readonly told: Record<string, unknown>[] = [];
  bytes = 0;
  #tail: Buffer[] = [];
  #more = Promise.withResolvers<void>();
  /** The status code of the close. */
  closed: number | undefined;

  private constructor(socket: WebSocket, print: (bytes: Buffer) => void) {
    this.socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#print(data);
      if (isBinary) print(data);
      else this.told.push(JSON.parse(data.toString()));
      this.#wake();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.#wake();
    });
  }

  /** @param path below /v1 @param print called with all output */
  static async open(
    root: string,
    path: string,
    print: (bytes: Buffer) => void = () => {},
  ): Promise<TerminalClient> {
    const createConnection = () => connect(join(root, 'run/ecs-host-service/api.sock'));
    const client = new TerminalClient(new WebSocket(`ws://localhost/v1${path}`, { createConnection }), print);
    await once(client.socket, 'open');
    await client.until(() => client.told.length > 0);
    return client;
  }

  #print(data: Buffer): void {
    this.bytes += data.length;
    this.#tail.push(data);
    // Joined only sometimes, so that even a long output costs little.
    if (this.#tail.length > 100) this.#tail = [this.printed];
  }

  /** The end of the output. */
  get printed(): Buffer {
    return Buffer.concat(this.#tail).subarray(-100_000);
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  get terminal(): string {
    return String(this.told[0]?.terminal);
  }

  get isClosed(): boolean {
    return this.socket.readyState === WebSocket.CLOSED;
  }

  type(text: string | Buffer): void {
    this.socket.send(Buffer.from(text));
  }

  /** Waits as long as something arrives at least once per minute. */
  async until(seen: () => boolean): Promise<void> {
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => silence.reject(new Error('nothing has arrived for a minute')), 60_000);
    try {
      for (; !seen(); timer.refresh()) await Promise.race([this.#more.promise, silence.promise]);
    } catch (error) {
      const end = `${this.printed.toString().slice(-2000)}, ${JSON.stringify(this.told)}`;
      throw new Error(`not seen in ${end}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async sees(text: string): Promise<void> {
    await this.until(() => this.printed.includes(text));
  }

  /** @returns the last message */
  async ended(): Promise<Record<string, unknown> | undefined> {
    await this.until(() => this.isClosed);
    return this.told.at(-1);
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}
