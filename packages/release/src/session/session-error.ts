/** An error that prevents a session or ends it early. Its message says what failed, why, and what to do next. */

import { ReleaseError } from '../errors.ts';

export type SessionProblem =
  /** No container matches, or several do and there is no terminal to ask on. */
  | 'target'
  /** The task or its role is not set up for ECS Exec. */
  | 'setup'
  /** The agent requires a feature that this client does not support. */
  | 'unsupported'
  /** The connection failed and could not be resumed. */
  | 'connection'
  /** The service or the agent ended the session. */
  | 'closed';

export class SessionError extends ReleaseError {
  readonly problem: SessionProblem;

  constructor(problem: SessionProblem, message: string, options?: ErrorOptions) {
    super('failed', message, options);
    this.name = 'SessionError';
    this.problem = problem;
  }
}

/**
 * Explains why there is no data channel.
 * @param status the HTTP status of the service's answer, if there was one
 */
export function connectionProblem(error: unknown, status: number | undefined): string {
  const why = error instanceof Error ? error.message : String(error);
  if (status === undefined)
    return `Systems Manager cannot be reached: ${why}; check that this machine can connect to ssmmessages on port 443`;
  return (
    `Systems Manager refused the data channel with status ${status}; the token may have expired, or ` +
    'ssmmessages:OpenDataChannel may be denied to you'
  );
}
