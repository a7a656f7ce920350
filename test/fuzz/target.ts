/** The fuzzer's view of a part of the service that reads bytes from outside. */

import type fc from 'fast-check';

export interface Target<Input> {
  /** Its share of the inputs, in thousandths. */
  readonly share: number;
  /** The number of calls for one input; default: one. */
  readonly calls?: number;
  /** The source files whose lines are counted, as paths in the repository. */
  readonly parsers: readonly string[];
  readonly inputs: fc.Arbitrary<Input>;
  open(): Promise<Opened<Input>>;
}

export interface Opened<Input> extends AsyncDisposable {
  /** The process that handles the inputs; default: this one. */
  readonly pid?: number;
  /** @throws when the input breaks a promise */
  take(input: Input): Promise<void>;
  /**
   * Called between batches.
   * @throws when a well-formed input no longer works
   */
  check(): Promise<void>;
}
