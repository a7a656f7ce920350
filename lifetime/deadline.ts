/** Limits the time of a piece of work, so that no single step can block the end of a lifetime. */

export class DeadlineError extends Error {
  constructor(what: string, milliseconds: number) {
    super(`${what} did not finish within ${milliseconds} ms`);
    this.name = 'DeadlineError';
  }
}

/**
 * Runs `work` and stops waiting for it after `milliseconds` (`Infinity`: never). At that moment the signal of the work
 * aborts; later results are ignored.
 * @throws {DeadlineError} when the time is over, or what `work` throws
 */
export async function withDeadline<T>(
  milliseconds: number,
  what: string,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  if (milliseconds === Infinity) return await work(abort.signal);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new DeadlineError(what, milliseconds);
    // The rejection must come before the abort: work that gives up because of the signal still counts as late.
    reject(error);
    abort.abort(error);
  }, milliseconds);
  try {
    return await Promise.race([work(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for `work` until `signal` aborts. The work itself continues.
 * @throws the reason of `signal`, or what `work` throws
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
