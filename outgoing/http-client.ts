/**
 * Requests to services beyond this host. Each is bounded in time and in what is read of its answer, and the
 * answer is always read to its end, so that a service that hangs, floods or breaks off costs nothing but itself.
 */

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Agent, buildConnector, request } from 'undici';
import { withDeadline } from '../lifetime/deadline.ts';

/** Bytes of an answer that are read at most; those that matter here are a few hundred long. */
const LIMIT = 64 * 1024;
/** Milliseconds for making a connection. */
const CONNECT = 5000;

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
  readonly #sockets = new Set<Socket>();
  readonly #agent = new Agent({ connect: this.#connector() });

  /**
   * Redirects are not followed.
   * @throws Error when there is no answer in time, or one that is too long; its text has no query, where tokens are
   */
  async ask(url: URL, { milliseconds, signal, ...question }: Question): Promise<Answer> {
    const what = `${question.method} ${url.origin}${url.pathname}`;
    return await withDeadline(milliseconds, what, async (late) => {
      const { statusCode, headers, body } = await request(url, {
        ...question,
        dispatcher: this.#agent,
        signal: signal ? AbortSignal.any([late, signal]) : late,
      });
      return { status: statusCode, headers, body: await read(body) };
    });
  }

  /** Closes all connections, also those that wait for an answer or are still being made. */
  async close(): Promise<void> {
    await this.#agent.destroy();
    await Promise.all([...this.#sockets].map((socket) => once(socket.destroy(), 'close')));
  }

  /** The agent forgets a connection that is not made yet, so this remembers it. */
  #connector(): buildConnector.connector {
    const connect = buildConnector({ timeout: CONNECT });
    return (options, callback) => {
      const socket = connect(options, callback) as unknown as Socket;
      this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket)));
      return socket;
    };
  }
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
