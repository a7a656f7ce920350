/** What keeps a session from beginning, or cuts it. Its message says what failed, why, and what to do next. */

import { ReleaseError } from '../errors.ts';

export type SessionProblem =
  /** Nothing fits, or several do and nobody can be asked. */
  | 'target'
  /** The task or its role is not set up for ECS Exec. */
  | 'setup'
  /** The agent wants something that this client does not do. */
  | 'unsupported'
  /** The connection failed, and could not be resumed. */
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

/** Why there is no data channel. `status` is what the service answered to the request for it. */
export function connectionProblem(error: unknown, status: number | undefined): string {
  const why = error instanceof Error ? error.message : String(error);
  if (status === undefined)
    return `Systems Manager cannot be reached: ${why}; see that this machine may connect to ssmmessages on port 443`;
  return (
    `Systems Manager refused the data channel with status ${status}; the token may have expired, or ` +
    'ssmmessages:OpenDataChannel may be denied to you'
  );
}
