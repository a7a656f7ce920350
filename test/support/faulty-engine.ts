/**
 * A Docker Engine with faults: a socket in front of the real one, which counts, spoils or delays calls, or makes a call the
 * last action of a process.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

const ENGINE = '/run/docker.sock';

/**
 * The fault of a call. Docker does not receive it: `fails`: the answer is 500; `hangs`: there is no answer; `deaf`: the
 * connection breaks. Docker executes it: `mute`: the connection breaks when Docker answers; `half`: it breaks within the
 * answer; `held`: the answer does not arrive before `release`.
 */
export type Fault = 'fails' | 'hangs' | 'deaf' | 'mute' | 'half' | 'held';

const FAILURE = '{"message":"failed on purpose"}\n';

export class FaultyEngine implements AsyncDisposable {
  readonly path = join('/run/test', randomUUID());
  /** Applies to all calls. */
  fault: Fault | undefined;
  /** Receives the number of each call, from 1, before it is passed on, and after its answer is complete. */
  before = (_call: number): void => {};
  after = (_call: number): void => {};
  calls = 0;
  /** @returns why Docker refuses a call, given as `METHOD PATH` */
  refusal = (_call: string): string | undefined => undefined;
  readonly #server = createServer((incoming, outgoing) => this.#handle(incoming, outgoing));
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 0 });
  #matches = /^$/;
  #next: Fault | undefined;
  #hit = Promise.withResolvers<void>();
  #released = Promise.withResolvers<void>();

  private constructor() {}

  static async open(): Promise<FaultyEngine> {
    const engine = new FaultyEngine();
    await once(engine.#server.listen(engine.path), 'listening');
    return engine;
  }

  get settings(): { readonly DOCKER_HOST: string } {
    return { DOCKER_HOST: `unix://${this.path}` };
  }

  /** Spoils the next call with this method and path. Resolves when that has happened; with `held`, when Docker has answered. */
  async spoil(matches: RegExp, fault: Fault): Promise<void> {
    this.#matches = matches;
    this.#next = fault;
    this.#hit = Promise.withResolvers();
    this.#released = Promise.withResolvers();
    await this.#hit.promise;
  }

  /** Breaks all connections; later ones are deaf. */
  goAway(): void {
    this.fault = 'deaf';
    this.#server.closeAllConnections();
  }

  /** Sends the answer that is held. */
  release(): void {
    this.#released.resolve();
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming;
    const refusal = this.refusal(`${method} ${path}`);
    if (refusal !== undefined)
      return void outgoing
        .writeHead(409, { 'content-type': 'application/json' })
        .end(JSON.stringify({ message: refusal }));
    const fault = this.#faultOf(`${method} ${path}`);
    const call = ++this.calls;
    this.before(call);
    if (fault === 'fails') outgoing.writeHead(500, { 'content-type': 'application/json' }).end(FAILURE);
    if (fault === 'deaf') outgoing.destroy();
    if (fault === 'fails' || fault === 'deaf') this.#hit.resolve();
    if (fault === 'fails' || fault === 'deaf' || fault === 'hangs') return;
    const passed = request({ socketPath: ENGINE, agent: this.#agent, method, path, headers }, (answer) => {
      answer.on('end', () => this.after(call));
      answer.on('error', () => outgoing.destroy());
      void this.#answer(answer, outgoing, fault);
    });
    incoming.pipe(passed);
    passed.on('error', () => outgoing.destroy());
    passed.on('close', () => {
      if (!outgoing.headersSent) outgoing.destroy();
    });
    outgoing.on('close', () => passed.destroy());
  }

  #faultOf(asked: string): Fault | undefined {
    if (!this.#matches.test(asked)) return this.fault;
    this.#matches = /^$/;
    return this.#next;
  }

  async #answer(answer: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): Promise<void> {
    if (fault) this.#hit.resolve();
    if (fault === 'held') await this.#released.promise;
    if (fault === 'mute') outgoing.destroy();
    else if (fault === 'half') outgoing.socket?.end(await cutShort(answer));
    else {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await once(this.#server, 'close');
  }
}

/** The bytes of an answer without the last ones. */
async function cutShort(answer: IncomingMessage): Promise<Buffer> {
  const { statusCode, statusMessage, rawHeaders } = answer;
  const lines = rawHeaders.map((word, i) => (i % 2 === 0 ? `${word}: ` : `${word}\r\n`));
  const head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), await buffer(answer)]).subarray(0, -5);
}
