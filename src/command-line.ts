/** What the command line asks for. */

export const USAGE = `Usage: ecs-host-service [command]

  run       host containers until told to stop (the default); settings come from the environment
  version   print the version
  help      print this
`;

export type Command = 'run' | 'version' | 'help';

/** @param words what stands behind the program's name. @returns undefined when they make no sense */
export function parseCommandLine(words: readonly string[]): Command | undefined {
  const [command = 'run', ...rest] = words;
  if (rest.length > 0) return undefined;
  if (command === '--help' || command === '-h') return 'help';
  if (command === '--version') return 'version';
  return command === 'run' || command === 'version' || command === 'help' ? command : undefined;
}
