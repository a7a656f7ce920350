/**
 * Whether somebody can see the page. A browser opens six connections to a host, for all of its tabs together, and each stream
 * takes one. So a tab that nobody sees for a while lets go of its streams, and goes on where it was when it is seen again.
 */

/** Milliseconds. */
const WHILE = 10_000;

/** Aborts when the page has been hidden for a while. Dispose of it when it is of no use any more. */
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
