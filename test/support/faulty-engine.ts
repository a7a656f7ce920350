/** A Docker Engine that has faults: a socket before the real one, at which calls are counted, spoiled, held, or the last thing that somebody does. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

const ENGINE = '/run/docker.sock';

/**
 * What becomes of a call. Docker does not hear of it: `fails`: 500 is answered; `hangs`: nothing is; `deaf`: the
 * connection breaks. Docker does it: `mute`: the connection breaks when it answers; `half`: within the answer; `held`:
 * the answer does not come before `release`.
 */
export type Fault = 'fails' | 'hangs' | 'deaf' | 'mute' | 'half' | 'held';

const FAILURE = '{"message":"failed on purpose"}\n';

export class FaultyEngine implements AsyncDisposable {
  readonly path = join('/run/test', randomUUID());
  /** Of all calls. */
  fault: Fault | undefined;
  /** Is told the number of each call, from 1, before it is passed on, and once its answer is whole. */
  before = (_call: number): void => {};
  after = (_call: number): void => {};
  calls = 0;
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

  /** Spoils the next call whose method and path match. Resolves when it has; with `held`, when Docker has answered. */
  async spoil(matches: RegExp, fault: Fault): Promise<void> {
    this.#matches = matches;
    this.#next = fault;
    this.#hit = Promise.withResolvers();
    this.#released = Promise.withResolvers();
    await this.#hit.promise;
  }

  /** Breaks all connections; those that follow are deaf. */
  goAway(): void {
    this.fault = 'deaf';
    this.#server.closeAllConnections();
  }

  /** Lets the answer go that is held. */
  release(): void {
    this.#released.resolve();
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming;
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

/** The bytes of an answer without its last ones. */
async function cutShort(answer: IncomingMessage): Promise<Buffer> {
  const { statusCode, statusMessage, rawHeaders } = answer;
  const lines = rawHeaders.map((word, i) => (i % 2 === 0 ? `${word}: ` : `${word}\r\n`));
  const head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), await buffer(answer)]).subarray(0, -5);
}
