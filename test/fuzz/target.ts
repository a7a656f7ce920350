/** What the fuzzer knows about a part of the service that reads bytes from outside. */

import type fc from 'fast-check';

export interface Target<Input> {
  /** The number of its inputs in each thousand. */
  readonly share: number;
  /** How many calls one input stands for; left out: one. */
  readonly calls?: number;
  /** The source files whose lines are counted, as paths in the repository. */
  readonly parsers: readonly string[];
  readonly inputs: fc.Arbitrary<Input>;
  open(): Promise<Opened<Input>>;
}

export interface Opened<Input> extends AsyncDisposable {
  /** The process that handles the inputs; left out: this one. */
  readonly pid?: number;
  /** @throws when the input breaks a promise */
  take(input: Input): Promise<void>;
  /** Between batches. @throws when a well-formed input no longer works */
  check(): Promise<void>;
}
