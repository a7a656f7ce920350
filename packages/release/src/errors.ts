/** The errors of this tool. The kind decides the exit code. The text says what failed, why, and what to do next. */

export type ErrorKind =
  /** The command line or the configuration file is wrong. Nothing was touched. */
  | 'usage'
  /** The release failed, and the stage is back in its previous state. */
  | 'rolled back'
  /** The release failed, and the stage may run parts of it. */
  | 'not rolled back'
  /** Another release, or a person, has the stage's lock. */
  | 'locked'
  | 'superseded'
  | 'nothing to do'
  /** Something else failed before the stage was changed. */
  | 'failed';

export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  failed: 1,
  usage: 2,
  'rolled back': 3,
  'not rolled back': 4,
  locked: 5,
  superseded: 5,
  'nothing to do': 6,
};

export class ReleaseError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReleaseError';
    this.kind = kind;
  }
}

/** Returns the text of any thrown value. AWS's errors are prefixed with their names. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof ReleaseError || error.name === 'Error') return error.message;
  return `${error.name}: ${error.message}`;
}
