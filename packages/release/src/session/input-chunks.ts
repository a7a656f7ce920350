/** Reads a stream chunk by chunk, with back-pressure, and detaches from it when the signal aborts. */

import type { Readable } from 'node:stream';

export async function* inputChunks(
  input: NodeJS.ReadableStream,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const queue: Buffer[] = [];
  // A stream that broke before this function reads it emits no more events.
  let isEnded = (input as Partial<Readable>).destroyed === true;
  let failure: Error | undefined;
  let wake = Promise.withResolvers<void>();
  const onData = (chunk: Uint8Array | string) => {
    queue.push(Buffer.from(chunk as Uint8Array));
    input.pause();
    wake.resolve();
  };
  const onEnd = () => {
    isEnded = true;
    wake.resolve();
  };
  const onError = (error: Error) => {
    failure = error;
    wake.resolve();
  };
  const onAbort = () => wake.resolve();
  input.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
  signal.addEventListener('abort', onAbort);
  try {
    for (;;) {
      const next = queue.shift();
      if (signal.aborted) return;
      if (next) yield next;
      else if (failure) throw failure;
      else if (isEnded) return;
      else {
        wake = Promise.withResolvers();
        input.resume();
        await wake.promise;
      }
    }
  } finally {
    input.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
    signal.removeEventListener('abort', onAbort);
    input.pause();
  }
}

/** Cuts a chunk into pieces of at most `most` bytes. */
export function* pieces(chunk: Uint8Array, most: number): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += most) yield chunk.subarray(at, at + most);
}
