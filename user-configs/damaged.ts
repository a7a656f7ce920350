/**
 * Stored configs can be damaged by others with write access, and by disks and networks. A reader must distinguish "this
 * object cannot be used" from "this service or its host failed", because another object helps only in the first case.
 */

import { ServiceError } from '../errors/service-error.ts';

/**
 * The object is not what was stored, or the key is wrong. The message names the failed check and contains no secret.
 */
export class DamagedError extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'DamagedError';
  }
}

/** Whether the stored config cannot be used: it is damaged, or it is or unpacks to more than the limit. */
export function isDamaged(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return error instanceof DamagedError;
  if (error.code === 'config.too_large' || error.code === 'config.answer_too_large') return true;
  return error.cause instanceof DamagedError;
}
