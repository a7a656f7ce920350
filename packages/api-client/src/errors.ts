/** The errors of a call, except for the caller's own mistakes. */

/** No service answered, or a service with another certificate than the given one. */
export class UnreachableError extends Error {
  /** The path of the socket, or the origin of the host. */
  readonly where: string;

  constructor(where: string, cause: unknown) {
    super(`no service answers at ${where}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
    this.name = 'UnreachableError';
    this.where = where;
  }
}

/** The service answered with an error. */
export class ProblemError extends Error {
  readonly status: number;
  /** The body of the answer: a problem (RFC 9457), if a service of this API answered. */
  readonly problem: unknown;

  constructor(problem: unknown, status: number) {
    const { title, detail } = (problem ?? {}) as { readonly title?: unknown; readonly detail?: unknown };
    super(
      typeof title === 'string' && typeof detail === 'string'
        ? `${title}: ${detail}`
        : `the answer has status ${status} and is not an answer of this API; check which program listens there`,
    );
    this.name = 'ProblemError';
    this.status = status;
    this.problem = problem;
  }
}
