/** The errors of this library. Each has a code for programs, and a text that tells people what to do. */

export type ErrorCode =
  | 'ALREADY_STARTED'
  | 'API_FAILED'
  | 'AUDITS_FULL'
  | 'BULK_DATA_FAILED'
  | 'CHANGE_INVALID'
  | 'CONFIG_INVALID'
  | 'EVENT_INVALID'
  | 'MESSAGE_INVALID'
  | 'MESSAGE_LOST'
  | 'MESSAGE_TIMEOUT'
  | 'MESSAGE_TOO_LARGE'
  | 'NODE_NOT_FOUND'
  | 'NODE_STOPPED'
  | 'NO_TABLE'
  | 'NOT_STARTED'
  | 'OPTIONS_INVALID'
  | 'SEND_FAILED'
  | 'SIGN_IN_FAILED'
  | 'UNKNOWN_TARGET';

export class EchoStreamError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EchoStreamError';
    this.code = code;
  }
}

/** The text of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
