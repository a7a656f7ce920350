/** Pipes that a child writes into and a thread reads from. */

import { addon } from './addon.ts';

/** Descriptors, close-on-exec; who asked for them closes them. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** @param bytes that it is to hold, as far as the kernel lets it @throws Error with a `code`, such as EMFILE */
export function makePipe(bytes: number): Pipe {
  const [reader, writer] = addon().makePipe(bytes);
  return { reader, writer };
}
