/**
 * Requests to services beyond this host. Each has a time limit and a size limit for the answer, and the answer is
 * always read to its end. So a service that hangs, floods or breaks off affects only its own requests.
 *
 * This uses Node's own client, which the process has loaded with its servers anyway.
 */

import { once } from 'node:events';
import { type Agent, type ClientRequest, type IncomingMessage, Agent as Plain, request } from 'node:http';
import { request as requestTls, Agent as Tls } from 'node:https';
import type { Socket } from 'node:net';
import { messageOf } from '../errors/service-error.ts';
import { DeadlineError, withDeadline } from '../lifetime/deadline.ts';
import { Names } from './names.ts';

/** The maximum size of an answer in bytes. The answers that the service needs have a few hundred. */
const LIMIT = 64 * 1024;
/** In milliseconds: the limit for a connection attempt, and how long an unused connection stays open. */
const CONNECT = 5000;
const IDLE = 4000;
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
  readonly #plain: Agent;
  readonly #tls: Agent;

  constructor() {
    const options = { keepAlive: true, maxSockets: CONNECTIONS, timeout: IDLE, lookup: this.#names.lookup };
    this.#plain = this.#watched(new Plain(options), 'connect');
    this.#tls = this.#watched(new Tls(options), 'secureConnect');
  }

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

  async #ask(
    url: URL,
    { body, ...options }: Omit<Question, 'milliseconds'> & { readonly signal: AbortSignal },
  ): Promise<Answer> {
    options.signal.throwIfAborted();
    const asked =
      url.protocol === 'https:'
        ? requestTls(url, { ...options, agent: this.#tls })
        : request(url, { ...options, agent: this.#plain });
    return await answerTo(asked.end(body), LIMIT, options.signal);
  }

  /** Closes all connections, including those that wait for an answer and those that are being opened. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('closed'));
    this.#names.close();
    // An agent opens a connection for each request that waited for one, even if the request was aborted.
    while (this.#sockets.size > 0) await Promise.all([...this.#sockets].map(destroyed));
  }

  /** @param opened the event of a socket that can be used */
  #watched(agent: Agent, opened: 'connect' | 'secureConnect'): Agent {
    const kind: Agent = Object.getPrototypeOf(agent);
    agent.createConnection = (...given) => {
      const socket = kind.createConnection.apply(agent, given) as Socket;
      const late = new Error(`no connection within ${CONNECT} ms`);
      const timer = setTimeout(() => socket.destroy(late), CONNECT);
      this.#sockets.add(socket);
      socket.once(opened, () => clearTimeout(timer));
      socket.once('close', () => {
        clearTimeout(timer);
        this.#sockets.delete(socket);
      });
      return socket;
    };
    return agent;
  }
}

/**
 * @param limit the maximum size of the answer in bytes
 * @param signal that of the request
 * @throws Error when the answer is longer, or does not arrive as a whole; or the reason of the signal
 */
export async function answerTo(asked: ClientRequest, limit: number, signal: AbortSignal): Promise<Answer> {
  // After the answer has begun, its body has the same error.
  asked.on('error', () => {});
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const { statusCode: status = 0, headers } = response;
    return { status, headers, body: await read(response, limit) };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Destroys the socket with an error, which the caller that waits for the connection then gets. */
function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) =>
    socket
      .on('error', () => {})
      .once('close', () => resolve())
      .destroy(new Error('closed')),
  );
}

async function read(body: AsyncIterable<Uint8Array>, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limit) throw new Error(`the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
