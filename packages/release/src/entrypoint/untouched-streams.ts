/**
 * Imported before all else. Node makes a pipe non-blocking when process.stdout or process.stderr is first used, as its own
 * modules do to see whether it is a terminal. The program would inherit that, and lose output. So nobody finds the streams.
 */

for (const name of ['stdin', 'stdout', 'stderr'] as const)
  Object.defineProperty(process, name, { value: { isTTY: false, write: () => true } });
