/**
 * Requests to services beyond this host. Each is bounded in time and in what is read of its answer, and the
 * answer is always read to its end, so that a service that hangs, floods or breaks off costs nothing but itself.
 */

import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import { messageOf } from '../errors/service-error.ts';
import { DeadlineError, withDeadline } from '../lifetime/deadline.ts';
import { Names } from './names.ts';

/** Loaded by the first request: a host that asks nobody does without. */
type Undici = typeof import('undici').default;

/** Bytes of an answer that are read at most; those that matter here are a few hundred long. */
const LIMIT = 64 * 1024;
/** Milliseconds for making a connection. */
const CONNECT = 5000;
/** Connections to one service at a time: as many as are asked at once, since a question's time passes in the queue too. */
const CONNECTIONS = 10;

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For all of it, from the connection to the last byte of the answer. */
  readonly milliseconds: number;
  /** Gives up earlier. */
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
   * Redirects are not followed.
   * @throws Error when there is no answer in time, or one that is too long. It has nothing of the question or the
   * answer but the address, without the query: what is in them may be secret
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
    // A bundle has no other name of a CommonJS package than the default.
    this.#loaded ??= import('undici').then((loaded) => loaded.default);
    const undici = await this.#loaded;
    question.signal.throwIfAborted();
    this.#agent ??= new undici.Agent({ connections: CONNECTIONS, connect: this.#connector(undici) });
    const { statusCode, headers, body } = await undici.request(url, { ...question, dispatcher: this.#agent });
    return { status: statusCode, headers, body: await read(body) };
  }

  /** Closes all connections, also those that wait for an answer or are still being made. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('closed'));
    this.#names.close();
    await this.#agent?.destroy();
    await Promise.all([...this.#sockets].map(destroyed));
  }

  /** The agent forgets a connection that is not made yet, so this remembers it. */
  #connector({ buildConnector }: Undici): buildConnector.connector {
    const connect = buildConnector({ timeout: CONNECT, lookup: this.#names.lookup });
    return (options, callback) => {
      const socket = connect(options, callback) as unknown as Socket;
      this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket)));
      return socket;
    };
  }
}

/** With an error, without which whoever waits for the connection is never called. */
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
