/**
 * Stored configs come from a place that others can write, and from disks and networks that err. Whoever reads one
 * has to tell "this object cannot be used" from "this service or its host failed", because only the first is
 * answered by another object.
 */

import { ServiceError } from '../errors/service-error.ts';

/** The object is not what was stored, or the key is not its key. The message says which check failed, and no secret. */
export class DamagedError extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'DamagedError';
  }
}

/** Whether what is stored cannot be used: it is not what was saved, or it is larger, or unpacks to more, than it may. */
export function isDamaged(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return error instanceof DamagedError;
  if (error.code === 'config.too_large' || error.code === 'config.answer_too_large') return true;
  return error.cause instanceof DamagedError;
}
