/** Bounds a piece of work in time, so that no single step can keep an end from finishing. */

export class DeadlineError extends Error {
  constructor(what: string, milliseconds: number) {
    super(`${what} did not finish within ${milliseconds} ms`);
    this.name = 'DeadlineError';
  }
}

/**
 * Runs `work` and gives up waiting for it after `milliseconds` (`Infinity`: never).
 * The work gets a signal that aborts at that moment; what it does afterwards is nobody's any more.
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
    // In this order: work that gives up at the signal is late all the same.
    reject(error);
    abort.abort(error);
  }, milliseconds);
  try {
    return await Promise.race([work(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `work`, which goes on by itself, until `signal` aborts. @throws the reason of `signal`, or what `work` throws */
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
