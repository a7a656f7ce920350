/**
 * Requests that are made once however often they are sent: a client that heard no answer sends the same again with the
 * same `Idempotency-Key`, and gets the answer to the first one.
 */

import { createHash } from 'node:crypto';
import { ServiceError } from '../../errors/service-error.ts';

/** Answered requests that are remembered; beyond that the one answered first is forgotten. */
const MOST = 1000;

/** Of what callers send no more is kept: it may be long, and has secrets in it. */
function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

interface Made<T> {
  /** Of the request. */
  readonly digest: string;
  readonly answer: Promise<T>;
}

export class Idempotency<T> {
  readonly #underWay = new Map<string, Made<T>>();
  readonly #answered = new Map<string, Made<T>>();

  /**
   * @param key undefined: it is made anew
   * @param make is called unless a request with this key was made, or is being made; one that fails is forgotten
   * @throws {ServiceError} `create.other_request` when the key is another request's
   */
  async once(key: string | undefined, request: unknown, make: () => Promise<T>): Promise<T> {
    if (key === undefined) return await make();
    const [name, digest] = [digestOf(key), digestOf(JSON.stringify(request))];
    const known = this.#underWay.get(name) ?? this.#answered.get(name);
    if (known && known.digest !== digest) throw new ServiceError('create.other_request', {});
    if (known) return await known.answer;
    const made = { digest, answer: make() };
    this.#underWay.set(name, made);
    try {
      const answer = await made.answer;
      this.#answered.set(name, made);
      if (this.#answered.size > MOST) this.#answered.delete([...this.#answered.keys()][0] as string);
      return answer;
    } finally {
      this.#underWay.delete(name);
    }
  }
}
