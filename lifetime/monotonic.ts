/**
 * A clock that all processes of this host share and that nobody can set. For times that one process passes to the next.
 */

/** Milliseconds since the host was booted. Source: CLOCK_MONOTONIC of clock_gettime(2). */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
