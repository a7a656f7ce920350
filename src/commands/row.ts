/**
 * Describes a command: its words, its options, and its purpose. Its help, its completion and docs/cli.md are generated
 * from this.
 */

export interface OptionRow {
  /** The option as it is typed, such as `-f, --follow` or `--app <APP>`. */
  readonly flags: string;
  readonly meaning: string;
  readonly isRequired?: true;
  /** Whether it can be repeated. */
  readonly isList?: true;
  /** Whether its value may be a negative number. */
  readonly isSigned?: true;
  /** The values that completion offers. */
  readonly values?: readonly string[];
}

export interface CommandRow<C> {
  /** Two words for a command of a group, such as `configs list`. */
  readonly name: string;
  /** The arguments after the name, such as `<ID>`, `[COMMAND...]`. */
  readonly words?: string;
  readonly summary: string;
  /** An additional text in the help of this command. */
  readonly more?: string;
  readonly options?: readonly OptionRow[];
  /** The words that completion offers. */
  readonly values?: readonly string[];
  /** Whether the words after the first one, including options, belong to another program. */
  readonly passesOn?: true;
  /** The words after the program's name. */
  readonly example: string;
  /** @returns undefined if the words are not valid */
  readonly read: (given: Given) => C | undefined;
}

/** The given words and options. Options have their long names. */
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
