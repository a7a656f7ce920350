/** How a command is told. Help and the README's list come from the rows; what a command does is loaded when it runs. */

export interface OptionRow {
  /** As they are typed, such as `-f, --follow` or `--to <RELEASE>`. */
  readonly flags: string;
  readonly meaning: string;
  readonly isList?: true;
}

export interface CommandRow {
  readonly name: string;
  /** What follows the name, such as `<TAG>` or `[COMMAND...]`. */
  readonly words?: string;
  readonly summary: string;
  readonly options?: readonly OptionRow[];
  /** false: it needs neither a stage nor a configuration. */
  readonly needsStage?: false;
  /** What stands behind the words belongs to another program, options too. */
  readonly passesOn?: true;
  readonly example: string;
  readonly load: () => Promise<Run>;
}

/** What was given. Options go by their long names. */
export interface Given {
  readonly words: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
}

/** What a command has of the process. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Somebody pressed Ctrl-C, or the CI ends the job. */
  readonly signal: AbortSignal;
}

/** @returns the exit code */
export type Run = (given: Given, surroundings: Surroundings) => Promise<number>;
