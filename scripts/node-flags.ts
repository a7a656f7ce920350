/** How Node runs the service, as in the Makefile. */
export const NODE_FLAGS: readonly string[] = [
  // Else that signal opens a debugger.
  '--disable-sigusr1',
  // What lives shortly is collected often: a large place for it costs memory, and gains nothing here.
  '--max-semi-space-size=2',
  // Far more than it needs. The smaller it is, the less the heap may grow before it is collected.
  '--max-old-space-size=512',
];
