/**
 * Gives the memory of large buffers back once they are used up. The garbage collector would come for them much later:
 * it sees the small objects that they are to it, and lets a process that streams files grow by all that it streams.
 */

import { finished, Writable } from 'node:stream';

/** Makes the buffer empty, unless others may have parts of the same memory. */
export function release({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && length === buffer.byteLength) buffer.transfer(0);
}

/** Passes on to `target` what is written to it, one after the other, and releases it. It ends as `target` does. */
export function releasing(target: Writable): Writable {
  const stream = new Writable({
    write: (bytes: Buffer, _encoding, done) =>
      target.write(bytes, (error) => {
        release(bytes);
        done(error);
      }),
    final: (done) => target.end(done),
  });
  finished(target, { readable: false }, (error) => {
    if (error) stream.destroy(error);
  });
  return stream;
}
