/** The thread of `unpacking.ts`. */

import { on } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import { decryptor } from './age.ts';
import { unpack } from './archive.ts';
import { type Inside, runInside } from './inside-thread.ts';
import { oldFormatDecryptor } from './old-format.ts';
import type { Taken, UnpackingTask } from './unpacking.ts';

await runInside<UnpackingTask, Taken>(async ({ place, what, key }, inside) => {
  const decrypt = 'token' in key ? oldFormatDecryptor(key.token) : decryptor(Buffer.from(key.identity));
  // An error of either is one of the stream that is given out.
  const content = pipeline(Readable.from(incoming(inside)), decrypt, () => {});
  await unpack(place, what, content, inside.stop.signal);
});

/** What comes; each piece is said to be taken when the next one is asked for. */
async function* incoming({ port, stop, tell }: Inside<Taken>): AsyncGenerator<Buffer> {
  for await (const [piece] of on(port, 'message', { signal: stop.signal })) {
    if (piece === 'end') return;
    if (!(piece instanceof Uint8Array)) continue;
    yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    tell('taken');
  }
}
