/** Waits that a signal ends early. The work itself goes on. */

/** Resolves when the work is done or the signal has aborted. */
export async function before(signal: AbortSignal, work: Promise<unknown> | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  if (signal.aborted) end();
  signal.addEventListener('abort', end);
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** Rejects with the signal's reason if it has aborted. */
export async function unlessAborted(
  signal: AbortSignal | undefined,
  work: Promise<void> | undefined,
): Promise<void> {
  if (!signal) return await work;
  await before(signal, work);
  signal.throwIfAborted();
}
