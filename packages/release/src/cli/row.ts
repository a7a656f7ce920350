/**
 * Defines a command as a row. The help and the README's list of commands come from the rows. The code of a command is
 * loaded only when it runs.
 */

export interface OptionRow {
  /** The option as it is typed, such as `-f, --follow` or `--to <RELEASE>`. */
  readonly flags: string;
  readonly meaning: string;
  readonly isList?: true;
}

export interface CommandRow {
  readonly name: string;
  /** The arguments after the name, such as `<TAG>` or `[COMMAND...]`. */
  readonly words?: string;
  readonly summary: string;
  readonly options?: readonly OptionRow[];
  /** false: the command needs neither a stage nor a configuration. */
  readonly needsStage?: false;
  /** true: options after the first argument belong to another program. */
  readonly passesOn?: true;
  readonly example: string;
  readonly load: () => Promise<Run>;
}

/** The parsed command line. Options are looked up by their long names. */
export interface Given {
  readonly words: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
}

/** The parts of the process that a command may use. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborts after Ctrl-C, or when the CI ends the job. */
  readonly signal: AbortSignal;
}

/** @returns the exit code */
export type Run = (given: Given, surroundings: Surroundings) => Promise<number>;
