/** The Node options of the service, as in the Makefile. */
export const NODE_FLAGS: readonly string[] = [
  // Otherwise the signal SIGUSR1 opens a debugger.
  '--disable-sigusr1',
  // Short-lived objects are collected often; a larger young generation costs memory without a gain here.
  '--max-semi-space-size=2',
  // Much more than needed. A smaller limit makes Node collect the heap earlier.
  '--max-old-space-size=512',
];
