/**
 * The image pulls in progress. A request for an image that is already being pulled joins that pull.
 *
 * INVARIANTS
 * - A pull is shared only by requests for the same image, of the same platform, with the same credentials.
 * - The service stores only the position of a follower. A slow follower skips states and delays no other.
 * - A pull ends when its last follower has left, or with the service.
 */

import { createHash } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Docker } from './docker.ts';
import { type PulledImage, type PullRequest, pullImage } from './pull-image.ts';
import { PullProgress, type PullState } from './pull-progress.ts';

/** What a follower receives: states, and finally how the pull ended. */
export type PullNews =
  | { readonly event: 'progress'; readonly data: PullState }
  | { readonly event: 'pulled'; readonly data: PulledImage }
  | { readonly event: 'failed'; readonly data: ServiceError };

type End = Exclude<PullNews, { event: 'progress' }>;

export class ImagePulls {
  readonly #docker: Docker;
  readonly #lifetime: Lifetime;
  readonly #log: Logger;
  readonly #underWay = new Map<string, Pull>();

  /** @param lifetime the pulls end with it */
  constructor(docker: Docker, lifetime: Lifetime, log: Logger) {
    this.#docker = docker;
    this.#lifetime = lifetime;
    this.#log = log;
  }

  /**
   * Pulls an image, or joins a pull of it. Resolves when there is something to report.
   * @param signal aborts when the follower leaves
   * @throws {ServiceError} why the pull failed, if it failed before anything else was reported
   */
  follow(request: PullRequest, signal: AbortSignal): Promise<AsyncGenerator<PullNews>> {
    const key = keyOf(request);
    const pull = this.#underWay.get(key) ?? this.#begin(key, request);
    return pull.follow(signal);
  }

  #begin(key: string, request: PullRequest): Pull {
    const { signal } = this.#lifetime;
    const pull = new Pull(signal);
    this.#underWay.set(key, pull);
    // A later request starts a new pull.
    pull.over.addEventListener('abort', () => this.#underWay.delete(key), { once: true });
    const { text: image } = request.reference;
    this.#log.info({ image }, 'pulling an image');
    const running = pull.run(this.#docker, request).then((end) => {
      const why = end.event === 'failed' ? { why: end.data.message } : end.data;
      this.#log.info(
        { image, ...why },
        end.event === 'failed' ? 'could not pull an image' : 'pulled an image',
      );
    });
    void this.#lifetime.track(`pulling ${image}`, running);
    return pull;
  }
}

/** Contains the credentials only as a digest. */
function keyOf({ reference, platform, registryAuth: auth }: PullRequest): string {
  const parts = [reference.text, platform, auth?.username, auth?.password];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

class Pull {
  readonly #stopping: AbortSignal;
  readonly #over = new AbortController();
  readonly #progress = new PullProgress();
  readonly #followers = new Set<symbol>();
  /** The number of states so far. */
  #states = 0;
  #end: End | undefined;
  #more = Promise.withResolvers<void>();

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
  }

  /** Aborts when the pull has ended or has no followers left. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Never rejects. */
  async run(docker: Docker, request: PullRequest): Promise<End> {
    const signal = AbortSignal.any([this.#stopping, this.over]);
    const news = () => {
      this.#states += 1;
      this.#wake();
    };
    const end = await pullImage(docker, request, this.#progress, news, signal).then(
      (data): End => ({ event: 'pulled', data }),
      (error): End => ({ event: 'failed', data: this.#failureOf(error) }),
    );
    this.#end = end;
    this.#over.abort();
    this.#wake();
    return end;
  }

  #failureOf(error: unknown): ServiceError {
    if (this.#stopping.aborted) return new ServiceError('service.stopping', {});
    return error instanceof ServiceError ? error : new ServiceError('internal', {}, { cause: error });
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  async follow(signal: AbortSignal): Promise<AsyncGenerator<PullNews>> {
    const follower = Symbol();
    this.#followers.add(follower);
    const leave = () => {
      this.#followers.delete(follower);
      if (this.#followers.size === 0) this.#over.abort();
      this.#wake();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    while (this.#states === 0 && !this.#end && !signal.aborted) await this.#more.promise;
    if (this.#states === 0 && this.#end?.event === 'failed') throw this.#end.data;
    return this.#tell(signal);
  }

  async *#tell(signal: AbortSignal): AsyncGenerator<PullNews> {
    for (let told = 0; !signal.aborted; ) {
      if (told < this.#states) {
        told = this.#states;
        yield { event: 'progress', data: this.#progress.state };
      } else if (this.#end) {
        yield this.#end;
        return;
      } else await this.#more.promise;
    }
  }
}
