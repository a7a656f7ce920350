/**
 * The WebSocket of a session. When it is lost, it is opened again with a new token. The pauses between attempts grow.
 * Only a received message resets the count of attempts, so a service that accepts and hangs up is not retried for ever.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';
import { type Headers, openSocket, RefusedError } from './open-socket.ts';
import { connectionProblem, SessionError } from './session-error.ts';
import type { Timers } from './timers.ts';

/** The fields that ExecuteCommand, StartSession and ResumeSession return. */
export interface Ticket {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export interface SocketOptions {
  readonly ticket: Ticket;
  readonly clientVersion: string;
  /**
   * Gets a new ticket after a lost connection, or undefined when the session is over. Without this function, a lost
   * connection ends the session.
   */
  readonly resume?: (signal: AbortSignal) => Promise<Ticket | undefined>;
  /** Returns headers that sign the request for the WebSocket. */
  readonly headers?: Headers;
  readonly timers: Timers;
  readonly connected: () => void;
  readonly disconnected: () => void;
  readonly received: (bytes: Buffer) => void;
  readonly failed: (error: SessionError) => void;
}

const ATTEMPTS = 6;
/** Milliseconds. */
const FIRST_PAUSE = 200;
const KEEP_ALIVE = 30_000;
const PATIENCE_AT_END = 500;

export class ResumingSocket {
  readonly #options: SocketOptions;
  readonly #closing = new AbortController();
  #socket: WebSocket | undefined;
  #attempts = 0;
  #isReading = true;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  /** Resolves when the first socket is open, or `failed` was called. */
  async open(): Promise<void> {
    await this.#connectPatiently(this.#options.ticket);
  }

  /** Does nothing while there is no socket. */
  send(bytes: Buffer): void {
    this.#socket?.send(bytes);
  }

  read(isReading: boolean): void {
    this.#isReading = isReading;
    if (isReading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const socket = this.#socket;
    socket?.resume();
    socket?.close();
    // Do not wait for a service that does not answer.
    if (socket) setTimeout(() => socket.terminate(), PATIENCE_AT_END).unref();
  }

  /** Resolves when the socket is closed. */
  async closed(): Promise<void> {
    this.close();
    const socket = this.#socket;
    if (socket && socket.readyState !== WebSocket.CLOSED) await once(socket, 'close');
  }

  async #connectPatiently(first: Ticket | undefined): Promise<void> {
    const { resume, failed } = this.#options;
    let ticket = first;
    for (;;) {
      try {
        this.#attempts += 1;
        ticket ??= await resume?.(this.#closing.signal);
        if (this.#closing.signal.aborted) return;
        if (ticket) await this.#connect(ticket);
        else failed(new SessionError('closed', 'the session has ended; it may have been idle for too long'));
        return;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        const status = error instanceof RefusedError ? error.status : undefined;
        const isRefused = status !== undefined && status < 500 && status !== 429;
        if (isRefused || this.#attempts >= ATTEMPTS) {
          failed(new SessionError('connection', connectionProblem(error, status), { cause: error }));
          return;
        }
        if (resume) ticket = undefined;
        await this.#pause();
      }
    }
  }

  async #connect({ streamUrl, tokenValue }: Ticket): Promise<void> {
    const url = new URL(streamUrl);
    const socket = await openSocket(url, this.#options.headers, this.#closing.signal);
    if (this.#closing.signal.aborted) return socket.terminate();
    this.#socket = socket;
    const stopPings = keepAlive(socket, () => this.#isReading);
    socket.on('error', () => {});
    socket.on('close', () => {
      stopPings();
      void this.#lost();
    });
    socket.on('message', (data) => {
      this.#attempts = 0;
      this.#options.received(data as Buffer);
    });
    if (!this.#isReading) socket.pause();
    const ids = {
      RequestId: randomUUID(),
      ClientId: randomUUID(),
      ClientVersion: this.#options.clientVersion,
    };
    socket.send(JSON.stringify({ MessageSchemaVersion: '1.0', TokenValue: tokenValue, ...ids }));
    this.#options.connected();
  }

  async #lost(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { resume, disconnected, failed } = this.#options;
    disconnected();
    const why = resume ? 'was lost repeatedly' : 'was lost';
    if (!resume || this.#attempts >= ATTEMPTS) {
      failed(
        new SessionError('connection', `the connection to Systems Manager ${why}; run the command again`),
      );
      return;
    }
    if (this.#attempts > 0) await this.#pause();
    await this.#connectPatiently(undefined);
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.timers.schedule(FIRST_PAUSE * 2 ** (this.#attempts - 1), resolve);
    this.#closing.signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    cancel();
  }
}

/** Pings, and terminates a connection without an answer. After a machine has slept, its connection is usually dead. */
function keepAlive(socket: WebSocket, isReading: () => boolean): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    // While nothing is read, a missing answer does not count.
    if (!isAlive && isReading()) socket.terminate();
    isAlive = false;
    socket.ping();
  }, KEEP_ALIVE).unref();
  return () => clearInterval(timer);
}
