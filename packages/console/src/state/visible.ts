/**
 * Tracks whether the page is visible. A browser opens at most six connections to a host, shared by all its tabs, and
 * each stream takes one. So a tab that has been hidden for a while closes its streams. When it is visible again, it
 * continues where it stopped.
 */

/** Milliseconds for which a page must be hidden before it closes its streams. */
const WHILE = 10_000;

/**
 * Returns a signal that aborts when the page has been hidden for a while. Dispose of it when it is no longer needed.
 */
export function untilHidden(): { readonly signal: AbortSignal } & Disposable {
  const hidden = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => hidden.abort(), WHILE);
  };
  document.addEventListener('visibilitychange', look);
  look();
  return {
    signal: hidden.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
    },
  };
}

export async function visible(): Promise<void> {
  if (!document.hidden) return;
  await new Promise<void>((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
  });
}
