/**
 * Runs a request once, however often it is sent. A client without an answer repeats the request with the same
 * `Idempotency-Key` and gets the answer to the first one.
 */

import { createHash } from 'node:crypto';
import { ServiceError } from '../../errors/service-error.ts';

/** The number of answered requests that are remembered; the oldest is dropped first. */
const MOST = 1000;

/** Only a digest of a request is kept, because requests may be long and contain secrets. */
function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** An answered request in the form that the next service gets. */
export interface HandedRequest<T> {
  /** The digest of its key. */
  readonly name: string;
  readonly digest: string;
  readonly answer: T;
}

interface Made<T> {
  /** The digest of the request. */
  readonly digest: string;
  readonly answer: Promise<T>;
}

export class Idempotency<T> {
  readonly #underWay = new Map<string, Made<T>>();
  readonly #answered: Map<string, Made<T>>;

  /** @param handed the answered requests of the previous service */
  constructor(handed: readonly HandedRequest<T>[] = []) {
    const made = ({ name, digest, answer }: HandedRequest<T>) =>
      [name, { digest, answer: Promise.resolve(answer) }] as const;
    this.#answered = new Map(handed.map(made));
  }

  /** The answered requests, for the next service. */
  async handed(): Promise<HandedRequest<T>[]> {
    return await Promise.all(
      [...this.#answered].map(async ([name, { digest, answer }]) => ({ name, digest, answer: await answer })),
    );
  }

  /**
   * @param key undefined: the request is always run
   * @param make runs the request, unless a request with this key was run or is running; a failed one is forgotten
   * @throws {ServiceError} `create.other_request` when the key belongs to another request
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
