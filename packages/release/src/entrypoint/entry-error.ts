/** What keeps a program from starting. Each kind has an exit code of its own, so that a stopped task tells which it was. */

export const EXIT_CODES = {
  /** The command line of ecs-entrypoint itself. */
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

  /** The message says what failed, why, and what to do next. No value of a secret is ever in it. */
  constructor(problem: EntryProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

/** The name of what was thrown, and its message where it cannot have a secret in it. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  return error.name === 'Error' ? (code ?? error.message) : `${error.name}: ${error.message}`;
}
