/**
 * Frees the memory of large buffers as soon as they are used up. The garbage collector sees them as small objects and
 * frees them much later, so a process that streams files would grow by the size of all the data.
 */

import type { Agent } from 'node:http';
import { finished, Writable } from 'node:stream';

/** Detaches the memory of the buffer, unless other buffers may share it. */
export function release({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && length === buffer.byteLength) buffer.transfer(0);
}

/** Returns a stream that writes chunks to `target` one by one and then frees them. It ends when `target` ends. */
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
 * Frees what the agent's connections have read, after it was handled. Node's HTTP parser copies the data that it
 * returns, so without this a download leaves the same amount of memory behind.
 */
export function releasingReads<A extends Agent>(agent: A): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...words) =>
    connect(...words)?.on('data', (bytes) => process.nextTick(release, bytes));
  return agent;
}
