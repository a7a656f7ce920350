/**
 * The errors that prevent a program from starting. Each kind has its own exit code, so that a stopped task shows the
 * cause.
 */

export const EXIT_CODES = {
  /** The command line of ecs-entrypoint is wrong. */
  usage: 64,
  table: 65,
  'type unset': 66,
  'type unknown': 67,
  'program missing': 68,
  'identity unset': 70,
  'region unknown': 71,
  'secret missing': 72,
  'access denied': 73,
  'decryption failed': 74,
  'not JSON': 75,
  'not a dictionary': 76,
  placeholders: 77,
  template: 78,
  'secrets manager': 79,
} as const;

export type EntryProblem = keyof typeof EXIT_CODES;

export class EntryError extends Error {
  override readonly name = 'EntryError';
  readonly problem: EntryProblem;

  /** @param message what failed, why, and what to do next; it never contains a value of a secret */
  constructor(problem: EntryProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

/**
 * Formats an error as its name and message. A plain Error is shown as its code, or as its message if it has no code.
 */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  return error.name === 'Error' ? (code ?? error.message) : `${error.name}: ${error.message}`;
}
