/** One line of the log, as those that send it elsewhere read it. */

export interface Line {
  readonly level: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

/** A line that hiding a secret has torn apart is still a line. */
export function parseLine(line: string): Line {
  try {
    return JSON.parse(line);
  } catch {
    return { level: 'error', time: new Date().toISOString(), msg: line };
  }
}

/** Whether the line is an error or worse, seen without parsing it: the level is its first field. */
export function isError(line: string): boolean {
  return /^\{"level":"(error|fatal)"/.test(line);
}

/** What every line gets when it leaves the host: from which host, commit and environment it comes. */
export type Tags = Readonly<Record<string, string>>;
