/** What an operator wants of a pool, and how operators see a pool. */

import type { PullPolicy } from '../../docker-engine/needed-images.ts';
import type { SpinUpRequest } from '../spin-up.ts';

/** What operators see instead of the state of a container that waits in a pool. */
export const WARM = 'warm';

export interface PoolSpec {
  /** The number of containers that stand ready. */
  readonly size: number;
  /** Seconds after which a container that nobody has taken is replaced. */
  readonly maxAge: number;
  /** When the image is pulled for a new container. */
  readonly pull: PullPolicy;
  /** What each container is made from. */
  readonly request: SpinUpRequest;
  /** The body of the call that made it, or its part of the file of pools. */
  readonly asked: unknown;
  /** Whether it is in the file of pools, which decides about it at each start. */
  readonly isPermanent: boolean;
}

/** Without the environment, which may contain secrets. */
export interface PoolView {
  readonly name: string;
  readonly size: number;
  readonly maxAge: number;
  readonly pull: PullPolicy;
  readonly image: string;
  readonly app: string;
  /** The number of containers that stand ready. */
  readonly ready: number;
  /** The number of containers that are being made. */
  readonly making: number;
  /** The number of containers that users have taken since the service started. */
  readonly taken: number;
  /** Why the last container could not be made. */
  readonly lastError?: string;
}

/** The result of a search for a warm container. */
export type Found<T> = { readonly container: T; readonly pool: string } | { readonly why: string };
