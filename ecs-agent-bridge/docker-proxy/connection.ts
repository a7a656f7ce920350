/**
 * One client of the proxy. Its requests go to Docker over a connection of its own, one after the other, and they and
 * their answers are passed on byte for byte as they come; what is understood of them is only where each ends. The
 * calls that somebody wants to handle are handed over before Docker sees anything of them.
 *
 * INVARIANTS
 * - Nothing waits for a peer that does not read but the other peer.
 * - No request is refused because Docker is away before `lost` has returned.
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

/** A body that was read before anything of it was passed on. */
export interface ReadBody {
  /** As it came. */
  readonly bytes: Buffer;
  readonly data: Buffer;
}

/** Handles a call. @returns whether the connection goes on */
export type Handler = (exchange: Exchange) => Promise<boolean>;

/** A call that somebody handles. */
export interface Exchange {
  readonly request: RequestHead;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** The same with another target, on which goes what is forwarded. */
  at(target: string): Exchange;
  /** @throws {MalformedMessage} when it is longer than `limit` bytes */
  read(limit: number): Promise<ReadBody>;
  /** Lets it go its way. @param body if it was read @returns whether the connection goes on */
  forward(body?: ReadBody): Promise<boolean>;
  /** Asks Docker something else instead. @throws {Unreachable} @throws {Lost} */
  ask(request: Buffer): Promise<Answer>;
  /** @returns whether the connection goes on */
  reply(bytes: Buffer): Promise<boolean>;
  /** In the form that Docker's errors have in the version of the request. */
  refuse(status: number, message: string): Promise<false>;
}

export interface ConnectionOptions {
  /** Of the Docker Engine. */
  readonly socket: string;
  /** Who handles a call; undefined: it goes its way. */
  readonly handlerOf: (request: RequestHead) => Handler | undefined;
  /** Is told that Docker is away, before any client is. */
  readonly lost: () => Promise<void>;
}

/** Serves a client, whose connection was just accepted, until it or Docker is through. */
export async function serveClient(accepted: Socket, options: ConnectionOptions): Promise<void> {
  await new Connection(accepted, options).serve();
}

class Connection {
  readonly #options: ConnectionOptions;
  readonly #client: Source;
  readonly #gone = new AbortController();
  #engine: Source | undefined;
  /** Of the request that is served; empty: it is not understood yet. */
  #target = '';
  /** Whether somebody reads the body of the request, or has read it. */
  #isRead = false;
  /** Whether Docker has all of the request that it is to answer. */
  #isSent = false;
  /** Whether the client has the beginning of an answer. */
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
      // It may answer never, and nobody waits for it.
      if (this.#isSent) this.#engine?.socket.destroy();
    });
  }

  async serve(): Promise<void> {
    try {
      while (await this.#serveOne());
    } catch (error) {
      await this.#fail(error);
    } finally {
      this.#engine?.socket.destroy();
      this.#client.close();
    }
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

  /** Reads over a body that nobody needed. @returns whether the next request can be found after it */
  async #skip({ framing, fields }: RequestHead): Promise<boolean> {
    // It comes only if it is asked for.
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

  /** A connection that ended while nothing was asked is made anew. @throws {Unreachable} */
  async #connect(): Promise<Source> {
    if (this.#engine?.isOver) this.#engine.socket.destroy();
    else if (this.#engine) return this.#engine;
    this.#engine = await connectEngine(this.#options.socket);
    return this.#engine;
  }

  async #forward(request: RequestHead, body?: ReadBody): Promise<boolean> {
    const engine = await this.#connect();
    const sent = this.#send(engine, request, body);
    // An answer may come, and be all, before the request was read to its end.
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

  /** Docker learns that its client has gone as it would without us. */
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

  /** From here on it is no HTTP. Either side may end while the other goes on. */
  async #tunnel(engine: Source): Promise<false> {
    await Promise.all([passAll(this.#client, engine), passAll(engine, this.#client)]);
    return false;
  }
}

/** Up to its end, which it passes on too. */
async function passAll(from: Source, to: Source): Promise<void> {
  const isTaken = await passOn(from, to.socket, new BodyScanner('until close'));
  if (isTaken) to.socket.end();
  else from.socket.destroy();
}

/** Old clients do not say that they want a connection of their own, and Docker gives it to them all the same. */
function mayTurnRaw({ method, target }: RequestHead): boolean {
  return method === 'POST' && /\/(containers\/[^/?]+\/attach|exec\/[^/?]+\/start)(\?|$)/.test(target);
}
