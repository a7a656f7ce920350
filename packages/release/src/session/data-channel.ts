/**
 * One session's data channel: a WebSocket to Systems Manager, opened with the token that ExecuteCommand or StartSession gave.
 * When the socket is lost, a new token is asked for and the stream goes on where it was.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';
import { MalformedMessageError } from './agent-message.ts';
import { answerHandshake, type Introduction } from './handshake.ts';
import { CLIENT_END, MessageStream } from './message-stream.ts';
import { type Headers, openSocket, RefusedError } from './open-socket.ts';
import { encodeFlag, FLAG, PAYLOAD, parseObject } from './payloads.ts';
import { connectionProblem, SessionError } from './session-error.ts';
import { systemTimers, type Timers } from './timers.ts';

/** What ExecuteCommand, StartSession and ResumeSession return. */
export interface Ticket {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export interface ChannelOptions {
  readonly ticket: Ticket;
  /** Agents choose by it what they do: from 1.1.70 on, ports are multiplexed. */
  readonly clientVersion: string;
  /** Called in order for what the agent sends after the handshake, by payload type. */
  onPayload(type: number, payload: Uint8Array): void;
  /** Gets a new ticket after a lost connection, or undefined when the session is over. Left out: a lost connection is the end. */
  resume?(signal: AbortSignal): Promise<Ticket | undefined>;
  /** Headers that sign the request for the WebSocket. */
  readonly headers?: Headers;
  readonly timers?: Timers;
  /** Milliseconds that the agent has for the handshake. */
  readonly patience?: number;
  readonly signal: AbortSignal;
}

const HANDSHAKE_PATIENCE = 30_000;
const ATTEMPTS = 6;
const FIRST_PAUSE = 200;
const KEEP_ALIVE = 60_000;

export class DataChannel implements AsyncDisposable {
  readonly #options: ChannelOptions;
  readonly #timers: Timers;
  readonly #stream: MessageStream;
  readonly #ready = Promise.withResolvers<Introduction>();
  readonly #ended = Promise.withResolvers<string>();
  /** Ends all attempts to connect. */
  readonly #closing = new AbortController();
  #introduction: Introduction | undefined;
  #isReady = false;
  #socket: WebSocket | undefined;
  #isReading = true;

  /** Resolves when the handshake is done. @throws SessionError */
  static async open(options: ChannelOptions): Promise<DataChannel> {
    const channel = new DataChannel(options);
    try {
      await channel.#begin();
    } catch (error) {
      channel.#close();
      throw error;
    }
    return channel;
  }

  private constructor(options: ChannelOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    // Whoever does not wait for the end need not see it.
    this.#ended.promise.catch(() => {});
    this.#ready.promise.catch(() => {});
    this.#stream = new MessageStream({
      ...CLIENT_END,
      timers: this.#timers,
      transmit: (bytes) => this.#socket?.send(bytes),
      deliver: (type, payload) => this.#deliver(type, payload),
      closed: (reason) => this.#end(reason),
      lost: () => this.#fail('connection', 'the agent has acknowledged nothing for five minutes'),
    });
  }

  get introduction(): Introduction {
    if (!this.#introduction) throw new Error('the handshake is not done');
    return this.#introduction;
  }

  /** Resolves with the reason (or an empty text) when the service closes the channel. @throws SessionError */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Resolves when the next message may be sent. */
  async send(type: number, payload: Uint8Array): Promise<void> {
    await this.#stream.send(type, payload);
  }

  /** Resolves when all that was sent is acknowledged, or the channel has ended. */
  async flushed(): Promise<void> {
    await this.#stream.flushed();
  }

  /** Stops or starts reading: what is not read waits at the service, which tells the agent to pause. */
  read(isReading: boolean): void {
    this.#isReading = isReading;
    this.#stream.isHeard = isReading;
    if (isReading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  /** Tells the agent that the session is over, waits for its acknowledgement (a second at most), and closes. */
  async terminate(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#timers.schedule(1_000, resolve);
    const told = this.send(PAYLOAD.flag, encodeFlag(FLAG.terminateSession)).then(() => this.flushed());
    await Promise.race([told, this.#ended.promise, promise]).catch(() => {});
    cancel();
    this.#end('');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('');
    const socket = this.#socket;
    if (socket && socket.readyState !== WebSocket.CLOSED) await once(socket, 'close');
  }

  async #begin(): Promise<void> {
    const { signal, patience = HANDSHAKE_PATIENCE } = this.#options;
    signal.throwIfAborted();
    const abort = () => this.#abort();
    signal.addEventListener('abort', abort, { once: true });
    this.#closing.signal.addEventListener('abort', () => signal.removeEventListener('abort', abort));
    const cancel = this.#timers.schedule(patience, () =>
      this.#fail(
        'connection',
        `the agent in the container has not answered within ${patience / 1_000} s; see whether the task still runs`,
      ),
    );
    try {
      await this.#connectPatiently(this.#options.ticket);
      await this.#ready.promise;
    } finally {
      cancel();
    }
  }

  async #connect(ticket: Ticket): Promise<void> {
    const url = new URL(ticket.streamUrl);
    const socket = await openSocket(url, this.#options.headers, this.#closing.signal);
    this.#socket = socket;
    socket.on('error', () => {});
    const keepAlive = setInterval(() => socket.ping(), KEEP_ALIVE).unref();
    socket.on('close', () => {
      clearInterval(keepAlive);
      if (this.#socket === socket) void this.#reconnect();
    });
    socket.on('message', (data) => this.#receive(data as Buffer));
    if (!this.#isReading) socket.pause();
    const request = {
      MessageSchemaVersion: '1.0',
      RequestId: randomUUID(),
      TokenValue: ticket.tokenValue,
      ClientId: randomUUID(),
      ClientVersion: this.#options.clientVersion,
    };
    socket.send(JSON.stringify(request));
    this.#stream.connected();
  }

  async #closed(): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>();
    const { signal } = this.#closing;
    if (signal.aborted) throw signal.reason;
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return promise;
  }

  /** Retries with growing pauses. A request that is refused is not repeated. */
  async #connectPatiently(first: Ticket | undefined): Promise<void> {
    let ticket = first;
    for (let attempt = 1; ; attempt++) {
      try {
        ticket ??= await this.#options.resume?.(this.#closing.signal);
        if (!ticket) return this.#fail('closed', 'the session is over; its idle time may have run out');
        return await this.#connect(ticket);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        const status = error instanceof RefusedError ? error.status : undefined;
        const isRefused = status !== undefined && status < 500 && status !== 429;
        if (isRefused || attempt === ATTEMPTS)
          return this.#fail('connection', connectionProblem(error, status), error);
        if (!this.#options.resume) ticket = first;
        await this.#pause(FIRST_PAUSE * 2 ** (attempt - 1));
      }
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#timers.schedule(milliseconds, resolve);
    await Promise.race([promise, this.#closed()]).catch(() => {});
    cancel();
  }

  async #reconnect(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#stream.disconnected();
    if (!this.#options.resume)
      return this.#fail('connection', 'the connection to Systems Manager was lost; run the command again');
    await this.#connectPatiently(undefined);
  }

  #receive(bytes: Buffer): void {
    try {
      this.#stream.receive(bytes);
    } catch (error) {
      // It is not acknowledged, so that it is sent again.
      if (!(error instanceof MalformedMessageError)) throw error;
    }
  }

  #deliver(type: number, payload: Uint8Array): void {
    switch (type) {
      case PAYLOAD.handshakeRequest:
        this.#answer(payload);
        break;
      case PAYLOAD.handshakeComplete: {
        const { CustomerMessage } = parseObject(payload);
        this.#becomeReady();
        if (typeof CustomerMessage === 'string' && CustomerMessage !== '')
          this.#options.onPayload(PAYLOAD.stderr, Buffer.from(`${CustomerMessage}\n`));
        break;
      }
      default:
        // An old agent begins without a handshake.
        if (!this.#isReady) this.#becomeReady();
        this.#options.onPayload(type, payload);
    }
  }

  #answer(payload: Uint8Array): void {
    const { introduction, response, problems } = answerHandshake(payload, this.#options.clientVersion);
    this.#introduction = introduction;
    void this.#stream.send(PAYLOAD.handshakeResponse, response);
    if (problems.length > 0) this.#fail('unsupported', `the session cannot begin: ${problems.join('; ')}`);
  }

  #becomeReady(): void {
    this.#isReady = true;
    this.#introduction ??= { agentVersion: '', sessionType: 'shell', properties: {} };
    this.#ready.resolve(this.#introduction);
  }

  #abort(): void {
    const { reason } = this.#options.signal;
    this.#ready.reject(reason);
    this.#ended.reject(reason);
    this.#close();
  }

  #end(reason: string): void {
    const why = reason === '' ? 'the service closed the session before it began' : reason;
    this.#ready.reject(new SessionError('closed', `the session did not begin: ${why}`));
    this.#ended.resolve(reason);
    this.#close();
  }

  #fail(kind: 'connection' | 'closed' | 'unsupported', message: string, cause?: unknown): void {
    const error = new SessionError(kind, message, { cause });
    this.#ready.reject(error);
    this.#ended.reject(error);
    this.#close();
  }

  #close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#stream.end();
    this.#socket?.close();
    // A service that does not answer the close is not waited for.
    if (this.#socket) setTimeout((socket: WebSocket) => socket.terminate(), 500, this.#socket).unref();
  }
}
