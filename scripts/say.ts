const beginning = performance.now();

/** Tells whoever watches a demo what happens, with the seconds since its beginning. */
export function say(text: string): void {
  const seconds = ((performance.now() - beginning) / 1000).toFixed(1).padStart(5);
  console.log(`${seconds} s  ${text}`);
}
