/** A pool as an operator requests it, and as operators see it. */

import type { PullPolicy } from '../../docker-engine/needed-images.ts';
import type { SpinUpRequest } from '../spin-up.ts';

/** The state that operators see for a container that waits in a pool. */
export const WARM = 'warm';

export interface PoolSpec {
  /** The number of containers that are kept ready. */
  readonly size: number;
  /** Seconds after which a container that nobody has taken is replaced. */
  readonly maxAge: number;
  /** When the image is pulled for a new container. */
  readonly pull: PullPolicy;
  /** The request from which each container is created. */
  readonly request: SpinUpRequest;
  /** The body of the call that created the pool, or its part of the file of pools. */
  readonly asked: unknown;
  /** Whether it is in the file of pools, which is applied at each start. */
  readonly isPermanent: boolean;
}

/** Does not contain the environment, which may contain secrets. */
export interface PoolView {
  readonly name: string;
  readonly size: number;
  readonly maxAge: number;
  readonly pull: PullPolicy;
  readonly image: string;
  readonly app: string;
  /** The number of containers that are ready. */
  readonly ready: number;
  /** The number of containers that are being created. */
  readonly making: number;
  /** The number of containers that users have taken since the service started. */
  readonly taken: number;
  /** Why the last container could not be created. */
  readonly lastError?: string;
}

/** The result of a search for a warm container. */
export type Found<T> = { readonly container: T; readonly pool: string } | { readonly why: string };
