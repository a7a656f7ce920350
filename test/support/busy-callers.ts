/** Callers that ask a service all the time, each time on a new connection. */

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { pathsBelow } from '../../host/paths.ts';
import { Operator } from './operator.ts';

/** @returns the status of the answer */
type Call = () => Promise<number>;

/** Lists containers at the operator's socket. */
export function callApi(root: string): Call {
  const operator = new Operator(root);
  return async () => (await operator.get('/v1/containers')).status;
}

/** Asks Docker through the service's socket. */
export function callDocker(root: string): Call {
  const socketPath = pathsBelow(root).dockerProxy;
  return async () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    request({ socketPath, path: '/_ping', agent: false }, (response) => {
      response
        .resume()
        .on('end', () => resolve(response.statusCode ?? 0))
        .on('error', reject);
    })
      .on('error', reject)
      .end();
    return await promise;
  };
}

export class BusyCallers {
  /** The number of answers that each has got. */
  readonly answers: number[];
  /** Rejects when a call fails, or is answered by another status than 200. */
  readonly failure: Promise<never>;
  readonly #calling: Promise<unknown>;
  #isOver = false;

  constructor(calls: readonly Call[]) {
    this.answers = calls.map(() => 0);
    this.#calling = Promise.all(calls.map((call, i) => this.#callOn(call, i)));
    this.failure = this.#calling.then(() => new Promise(() => {}));
    this.failure.catch(() => {});
  }

  async #callOn(call: Call, i: number): Promise<void> {
    for (; !this.#isOver; this.answers[i] = (this.answers[i] as number) + 1) assert.equal(await call(), 200);
  }

  /** @returns the number of answers that each has got @throws as `failure` */
  async end(): Promise<readonly number[]> {
    this.#isOver = true;
    await this.#calling;
    return this.answers;
  }
}
