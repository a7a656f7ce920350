/**
 * Stored configs come from a place that others can write, and from disks and networks that err. Whoever reads one
 * has to tell "this object cannot be used" from "this service or its host failed", because only the first is
 * answered by another object.
 */

/** The object is not what was stored, or the key is not its key. The message says which check failed, and no secret. */
export class DamagedError extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'DamagedError';
  }
}
