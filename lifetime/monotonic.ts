/**
 * A clock that all processes of this host share and that nobody can set, for times that one process hands to the next.
 */

/** Milliseconds since the host has started. Source: CLOCK_MONOTONIC of clock_gettime(2). */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
