/** An operator who has an image pulled over the unix socket, and checks that each event matches the API's document. */

import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TSchema } from 'typebox';
import { pathsBelow } from '../../host/paths.ts';
import { PulledImage, PullProgress } from '../../httpserver/v1/image-schemas.ts';
import { Container, Problem } from '../../httpserver/v1/schemas.ts';
import { messagesOf } from '../../packages/api-client/src/main.ts';
import { misfit } from '../../parsing/json.ts';

const DATA: Readonly<Record<string, TSchema>> = {
  progress: PullProgress,
  pulled: PulledImage,
  created: Container,
  failed: Problem,
};

export interface Told {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what it must be is for the test to say
  readonly data: any;
}

export class Pulling implements Disposable {
  readonly #response: IncomingMessage;
  readonly #told: AsyncGenerator<Told>;

  /** @param path the endpoint that pulls */
  static async open(root: string, body: unknown, path = '/v1/images/pull'): Promise<Pulling> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asked = {
      socketPath: pathsBelow(root).apiSocket,
      method: 'POST',
      path,
      headers: { accept: 'text/event-stream' },
      agent: false,
    };
    request(asked, resolve).on('error', reject).end(JSON.stringify(body));
    return new Pulling(await promise);
  }

  private constructor(response: IncomingMessage) {
    this.#response = response;
    this.#told = this.#read();
  }

  get status(): number {
    return this.#response.statusCode ?? 0;
  }

  /** The answer if it was not a stream. */
  async problem(): Promise<{ readonly title: string; readonly detail: string; readonly status: number }> {
    assert.equal(this.#response.headers['content-type'], 'application/problem+json; charset=utf-8');
    const problem = JSON.parse(await text(this.#response));
    assert.equal(misfit(Problem, problem), undefined);
    assert.equal(problem.status, this.status);
    return problem;
  }

  async *#read(): AsyncGenerator<Told> {
    assert.equal(this.status, 200);
    assert.equal(this.#response.headers['content-type'], 'text/event-stream');
    for await (const { event = '', data } of messagesOf(Readable.toWeb(this.#response))) {
      const told = { event, data: JSON.parse(data) };
      assert.equal(misfit(DATA[event] as TSchema, told.data), undefined, data);
      yield told;
    }
  }

  /** Events up to the first that `fits`. */
  async until(fits: (told: Told) => boolean): Promise<Told> {
    for (;;) {
      const { value, done } = await this.#told.next();
      assert.ok(!done, 'the stream ended');
      if (fits(value)) return value;
      assert.equal(value.event, 'progress', JSON.stringify(value));
    }
  }

  /** The last event, after which none follows. */
  async end(): Promise<Told> {
    const last = await this.until(({ event }) => event !== 'progress');
    assert.deepEqual(await this.#told.next(), { value: undefined, done: true });
    return last;
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }
}
