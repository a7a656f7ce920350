/**
 * Gives the memory of large buffers back once they are used up. The garbage collector would come for them much later:
 * it sees the small objects that they are to it, and lets a process that streams files grow by all that it streams.
 */

import type { Agent } from 'node:http';
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

/**
 * Releases what the agent's connections have read once it was looked at. Node's parser of HTTP copies what it gives out:
 * without this, a download leaves as much again behind it.
 */
export function releasingReads<A extends Agent>(agent: A): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...words) =>
    connect(...words)?.on('data', (bytes) => process.nextTick(release, bytes));
  return agent;
}
