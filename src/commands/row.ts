/** How a command is told: its words, its options, what it is for. Help, completion and docs/cli.md are made from this too. */

export interface OptionRow {
  /** As they are typed, such as `-f, --follow` or `--app <APP>`. */
  readonly flags: string;
  readonly meaning: string;
  readonly isRequired?: true;
  /** May be given several times. */
  readonly isList?: true;
  /** Its value may be a negative number. */
  readonly isSigned?: true;
  /** What completion offers as its value. */
  readonly values?: readonly string[];
}

export interface CommandRow<C> {
  /** Two words for one of a group, such as `configs list`. */
  readonly name: string;
  /** What follows the name, such as `<ID>`, `[COMMAND...]`. */
  readonly words?: string;
  readonly summary: string;
  /** Shown in the help of this command. */
  readonly more?: string;
  readonly options?: readonly OptionRow[];
  /** What completion offers for its words. */
  readonly values?: readonly string[];
  /** What stands behind the first word belongs to another program, options too. */
  readonly passesOn?: true;
  /** Behind the program's name. */
  readonly example: string;
  /** @returns undefined when the words make no sense */
  readonly read: (given: Given) => C | undefined;
}

/** What was given to a command. Options go by their long names. */
export class Given {
  readonly words: readonly string[];
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(words: readonly string[], values: ReadonlyMap<string, unknown>) {
    this.words = words;
    this.#values = values;
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }

  text(name: string): string | undefined {
    return this.#values.get(name) as string | undefined;
  }

  texts(name: string): readonly string[] {
    return (this.#values.get(name) ?? []) as readonly string[];
  }
}
