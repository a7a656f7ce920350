/** Parses a timestamp from outside. */

/** @returns milliseconds since 1970; undefined if the value is not a timestamp */
export function momentOf(value: unknown): number | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}
