/**
 * Requests to services beyond this host. Each has a time limit and a size limit for the answer, and the answer is
 * always read to its end. So a service that hangs, floods or breaks off affects only its own requests.
 */

import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import { messageOf } from '../errors/service-error.ts';
import { DeadlineError, withDeadline } from '../lifetime/deadline.ts';
import { Names } from './names.ts';

/** The first request loads undici, so that a host without requests does not load it. */
type Undici = typeof import('undici').default;

/** The maximum size of an answer in bytes. The answers that the service needs have a few hundred. */
const LIMIT = 64 * 1024;
/** The limit for a connection attempt, in milliseconds. */
const CONNECT = 5000;
/**
 * Connections to one service at a time. It must be as many as there are concurrent requests, since the time limit of a
 * request includes its time in the queue.
 */
const CONNECTIONS = 10;

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The time limit for the whole request, from the connection to the last byte of the answer. */
  readonly milliseconds: number;
  /** Aborts the request earlier. */
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export class HttpClient {
  readonly #names = new Names();
  readonly #sockets = new Set<Socket>();
  readonly #closed = new AbortController();
  #loaded: Promise<Undici> | undefined;
  #agent: Agent | undefined;

  /**
   * Sends a request. Redirects are not followed.
   * @throws Error when no complete answer arrives in time, or when it is too long. The error contains only the address
   * without the query, because requests and answers may hold secrets
   */
  async ask(url: URL, { milliseconds, signal, ...question }: Question): Promise<Answer> {
    const what = `${question.method} ${url.origin}${url.pathname}`;
    try {
      return await withDeadline(milliseconds, what, async (late) => {
        const signals = AbortSignal.any([late, this.#closed.signal, ...(signal ? [signal] : [])]);
        return await this.#ask(url, { ...question, signal: signals });
      });
    } catch (error) {
      throw new Error(error instanceof DeadlineError ? error.message : `${what}: ${messageOf(error)}`);
    }
  }

  async #ask(url: URL, question: Omit<Question, 'milliseconds'> & { readonly signal: AbortSignal }) {
    // In a bundle, a CommonJS package has only its default export.
    this.#loaded ??= import('undici').then((loaded) => loaded.default);
    const undici = await this.#loaded;
    question.signal.throwIfAborted();
    this.#agent ??= new undici.Agent({ connections: CONNECTIONS, connect: this.#connector(undici) });
    const { statusCode, headers, body } = await undici.request(url, { ...question, dispatcher: this.#agent });
    return { status: statusCode, headers, body: await read(body) };
  }

  /** Closes all connections, including those that wait for an answer and those that are being opened. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('closed'));
    this.#names.close();
    await this.#agent?.destroy();
    await Promise.all([...this.#sockets].map(destroyed));
  }

  /** undici's agent does not keep track of connections that are being opened, so this does. */
  #connector({ buildConnector }: Undici): buildConnector.connector {
    const connect = buildConnector({ timeout: CONNECT, lookup: this.#names.lookup });
    return (options, callback) => {
      const socket = connect(options, callback) as unknown as Socket;
      this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket)));
      return socket;
    };
  }
}

/** Destroys the socket with an error; otherwise undici never calls back the caller that waits for the connection. */
function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) =>
    socket
      .on('error', () => {})
      .once('close', () => resolve())
      .destroy(new Error('closed')),
  );
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > LIMIT) throw new Error(`the answer is longer than ${LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
