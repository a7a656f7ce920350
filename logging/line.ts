/** A line of the log as Sentry and logz.io receive it. */

export interface Line {
  readonly level: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

/** If the redaction of a secret has broken the JSON of a line, the text still becomes a line. */
export function parseLine(line: string): Line {
  try {
    return JSON.parse(line);
  } catch {
    return { level: 'error', time: new Date().toISOString(), msg: line };
  }
}

/** Whether the line is an error or worse. It needs no parsing, because the level is the first field. */
export function isError(line: string): boolean {
  return /^\{"level":"(error|fatal)"/.test(line);
}

/** Fields that are added to every line that leaves the host: its host, commit and environment. */
export type Tags = Readonly<Record<string, string>>;
