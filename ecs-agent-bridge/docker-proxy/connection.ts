/**
 * Serves one client of the proxy. Its requests go to Docker one by one over a connection of its own. Requests and
 * answers are passed on byte for byte as they arrive; the proxy only determines where each ends. Calls with a handler
 * are handled before Docker sees any of them.
 *
 * INVARIANTS
 * - If a peer does not read, only the other peer waits.
 * - While Docker is unreachable, no request is refused before `lost` has returned.
 */

import type { Socket } from 'node:net';
import { BodyScanner } from './body-scanner.ts';
import { type Answer, ask, connectEngine, Lost, nextAnswer, passAnswer, Unreachable } from './engine.ts';
import { MalformedMessage, parseRequest, type RequestHead } from './message-head.ts';
import { refusal, retargeted } from './own-messages.ts';
import { passOn } from './passing.ts';
import { ReadBuffers } from './read-buffers.ts';
import { adopt } from './sockets.ts';
import { Source, write } from './source.ts';

/** A body that was read before any of it was passed on. */
export interface ReadBody {
  /** The original bytes. */
  readonly bytes: Buffer;
  readonly data: Buffer;
}

/** Handles a call. @returns whether the connection continues */
export type Handler = (exchange: Exchange) => Promise<boolean>;

/** A call for a handler. */
export interface Exchange {
  readonly request: RequestHead;
  /** Aborts when the client has disconnected. */
  readonly signal: AbortSignal;
  /** Returns the same exchange with another target for forwarding. */
  at(target: string): Exchange;
  /** @throws {MalformedMessage} if it is longer than `limit` bytes */
  read(limit: number): Promise<ReadBody>;
  /** Passes the call on to Docker. @param body if it was read @returns whether the connection continues */
  forward(body?: ReadBody): Promise<boolean>;
  /** Sends Docker another request instead. @throws {Unreachable} @throws {Lost} */
  ask(request: Buffer): Promise<Answer>;
  /** @returns whether the connection continues */
  reply(bytes: Buffer): Promise<boolean>;
  /** Sends an error in the form that Docker's errors have in the request's version of the API. */
  refuse(status: number, message: string): Promise<false>;
}

export interface ConnectionOptions {
  /** The socket of the Docker Engine. */
  readonly socket: string;
  /** Returns the handler of a call; undefined: the call is passed on. */
  readonly handlerOf: (request: RequestHead) => Handler | undefined;
  /** Called when Docker is unreachable, before any client learns it. */
  readonly lost: () => Promise<void>;
  /**
   * Aborts when the connection must end as soon as no request is in progress. A connection without any request yet may
   * still send one.
   */
  readonly finishing?: AbortSignal;
  /**
   * Called when `finishing` aborts, if the client has sent nothing yet. The next service may serve such a client.
   * @returns whether it will; this process then closes the connection
   */
  readonly passOn?: (client: Socket) => boolean;
}

/** Serves a client whose connection was just accepted, until the client or Docker ends it. */
export async function serveClient(accepted: Socket, options: ConnectionOptions): Promise<void> {
  await new Connection(accepted, options).serve();
}

class Connection {
  readonly #options: ConnectionOptions;
  readonly #client: Source;
  readonly #gone = new AbortController();
  #engine: Source | undefined;
  /** The target of the present request; empty until it is parsed. */
  #target = '';
  /** Whether it has served a request and waits for the next one. */
  #isIdle = false;
  /** Whether the body of the request is being read or was read. */
  #isRead = false;
  /** Whether Docker has the complete request. */
  #isSent = false;
  /** Whether the client has received the beginning of an answer. */
  #isAnswering = false;

  constructor(accepted: Socket, options: ConnectionOptions) {
    this.#options = options;
    const buffers = new ReadBuffers();
    const socket = adopt(accepted, buffers);
    this.#client = new Source(socket, buffers, () => {
      this.#gone.abort(new Error('the client has gone'));
      this.#passEnd();
    });
    socket.on('close', () => {
      // Docker may never answer, and no client waits for it.
      if (this.#isSent) this.#engine?.socket.destroy();
    });
  }

  async serve(): Promise<void> {
    const { finishing } = this.#options;
    const finish = () => {
      const isOver = this.#isIdle ? !this.#client.hasMore : this.#isPassedOn();
      if (isOver) this.#client.socket.destroy();
    };
    finishing?.addEventListener('abort', finish);
    try {
      while ((await this.#serveOne()) && !finishing?.aborted) this.#isIdle = true;
    } catch (error) {
      await this.#fail(error);
    } finally {
      finishing?.removeEventListener('abort', finish);
      this.#engine?.socket.destroy();
      this.#client.close();
    }
  }

  #isPassedOn(): boolean {
    const { socket, isOver } = this.#client;
    return socket.bytesRead === 0 && !isOver && this.#options.passOn?.(socket) === true;
  }

  async #fail(error: unknown): Promise<void> {
    const { socket } = this.#client;
    if (error instanceof MalformedMessage) {
      if (this.#isAnswering) socket.destroy();
      else await this.#refuse(400, `the request is not understood: ${error.message}`);
    } else if (error instanceof Unreachable) {
      await this.#options.lost();
      const why = `Docker does not answer at ${this.#options.socket} (${error.message})`;
      await this.#refuse(503, `${why}; start it, or see its log`);
    } else if (error instanceof Lost) {
      if (!this.#gone.signal.aborted) await this.#options.lost();
      socket.destroy();
    } else {
      socket.destroy();
      if (error === this.#gone.signal.reason) return;
      throw error;
    }
  }

  async #serveOne(): Promise<boolean> {
    this.#target = '';
    const bytes = await this.#client.head();
    if (!bytes) return false;
    this.#isIdle = false;
    this.#isRead = false;
    this.#isSent = false;
    this.#isAnswering = false;
    const request = parseRequest(bytes);
    this.#target = request.target;
    const handle = this.#options.handlerOf(request);
    const goesOn = handle ? await handle(this.#exchange(request)) : await this.#forward(request);
    return goesOn && !request.isLast && (this.#isRead || (await this.#skip(request)));
  }

  #exchange(request: RequestHead): Exchange {
    return {
      request,
      signal: this.#gone.signal,
      at: (target) => this.#exchange(retargeted(request, target)),
      read: (limit) => this.#read(request, limit),
      forward: (body) => this.#forward(request, body),
      ask: async (bytes) => await ask(await this.#connect(), bytes, request),
      reply: (bytes) => write(this.#client.socket, bytes),
      refuse: (status, message) => this.#refuse(status, message),
    };
  }

  async #refuse(status: number, message: string): Promise<false> {
    await write(this.#client.socket, refusal(status, message, this.#target));
    return false;
  }

  /** Skips a body that was not needed. @returns whether the next request can be found after it */
  async #skip({ framing, fields }: RequestHead): Promise<boolean> {
    // The client sends the body only after a 100 status.
    if (fields.has('expect')) return false;
    await this.#client.skip(new BodyScanner(framing));
    return true;
  }

  async #read({ framing, fields }: RequestHead, limit: number): Promise<ReadBody> {
    const pieces: Buffer[] = [];
    const data: Buffer[] = [];
    let length = 0;
    this.#isRead = true;
    if (fields.has('expect')) await write(this.#client.socket, 'HTTP/1.1 100 Continue\r\n\r\n');
    for await (const piece of this.#client.body(framing, (part) => data.push(part))) {
      length += piece.length;
      if (length > limit) throw new MalformedMessage(`its body is longer than ${limit} bytes`);
      pieces.push(piece);
    }
    return { bytes: Buffer.concat(pieces), data: Buffer.concat(data) };
  }

  /** If the connection to Docker ended while idle, a new one is made. @throws {Unreachable} */
  async #connect(): Promise<Source> {
    if (this.#engine?.isOver) this.#engine.socket.destroy();
    else if (this.#engine) return this.#engine;
    this.#engine = await connectEngine(this.#options.socket);
    return this.#engine;
  }

  async #forward(request: RequestHead, body?: ReadBody): Promise<boolean> {
    const engine = await this.#connect();
    const sent = this.#send(engine, request, body);
    // Docker may answer completely before it has read the whole request.
    const answered = this.#relay(engine, request);
    const [goesOn] = await Promise.all([answered, Promise.race([sent, answered])]);
    return goesOn && this.#isSent;
  }

  async #send(engine: Source, { bytes, framing }: RequestHead, body?: ReadBody): Promise<void> {
    this.#isRead = true;
    const { socket } = engine;
    if (body) {
      await write(socket, Buffer.concat([bytes, body.bytes]));
    } else {
      const scanner = new BodyScanner(framing);
      const isTaken = await passOn(this.#client, socket, scanner, bytes);
      if (!isTaken) await this.#client.skip(scanner);
    }
    this.#isSent = true;
    this.#passEnd();
  }

  /** Passes the client's disconnection on to Docker. */
  #passEnd(): void {
    if (this.#isSent && this.#client.isEmpty) this.#engine?.socket.end();
  }

  /** @returns whether another answer can follow on the connection */
  async #relay(engine: Source, request: RequestHead): Promise<boolean> {
    const { socket } = this.#client;
    for (;;) {
      const answer = await nextAnswer(engine, request.method);
      this.#isAnswering = answer.status >= 200;
      const isRaw = answer.status === 101 || (answer.framing === 'until close' && mayTurnRaw(request));
      if (isRaw || answer.status < 200) await write(socket, answer.bytes);
      if (isRaw) return await this.#tunnel(engine);
      if (answer.status < 200) continue;
      return (await passAnswer(engine, answer, socket)) && !answer.isLast;
    }
  }

  /** From here on, the bytes are not HTTP. Either side may end while the other continues. */
  async #tunnel(engine: Source): Promise<false> {
    await Promise.all([passAll(this.#client, engine), passAll(engine, this.#client)]);
    return false;
  }
}

/** Passes all bytes on, and the end too. */
async function passAll(from: Source, to: Source): Promise<void> {
  const isTaken = await passOn(from, to.socket, new BodyScanner('until close'));
  if (isTaken) to.socket.end();
  else from.socket.destroy();
}

/** Old clients do not announce an upgrade, but Docker still turns their connection into a raw stream. */
function mayTurnRaw({ method, target }: RequestHead): boolean {
  return method === 'POST' && /\/(containers\/[^/?]+\/attach|exec\/[^/?]+\/start)(\?|$)/.test(target);
}
