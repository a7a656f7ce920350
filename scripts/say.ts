const beginning = performance.now();

/** Prints a message of a demo, with the seconds since its start. */
export function say(text: string): void {
  const seconds = ((performance.now() - beginning) / 1000).toFixed(1).padStart(5);
  console.log(`${seconds} s  ${text}`);
}
