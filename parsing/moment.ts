/** A moment as others write it. */

/** @returns milliseconds since 1970; undefined when it is none */
export function momentOf(value: unknown): number | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}
