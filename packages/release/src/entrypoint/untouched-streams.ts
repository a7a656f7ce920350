/**
 * Import this module before all others. Node makes a pipe non-blocking when process.stdout or process.stderr is first
 * used. Node's own modules use them to check for a terminal. The program would inherit a non-blocking pipe and lose
 * output. Therefore this module replaces the streams.
 */

for (const name of ['stdin', 'stdout', 'stderr'] as const)
  Object.defineProperty(process, name, { value: { isTTY: false, write: () => true } });
