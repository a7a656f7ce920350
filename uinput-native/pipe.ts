/** Pipes from a child process to a thread. */

import { addon } from './addon.ts';

/** Descriptors, close-on-exec. The caller closes them. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** @param bytes the requested capacity, up to the kernel's limit @throws Error with a `code`, such as EMFILE */
export function makePipe(bytes: number): Pipe {
  const [reader, writer] = addon().makePipe(bytes);
  return { reader, writer };
}
