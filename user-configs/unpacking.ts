/** Decrypts and unpacks what is stored, in a thread. */

import { EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Place } from './archive.ts';
import { startThread } from './thread.ts';

export interface UnpackingTask {
  readonly place: Place;
  /** `old`: what the predecessor stored. */
  readonly what: 'all' | 'changes' | 'old';
  /** The secret half of the key; of what the predecessor stored, the token. */
  readonly key: { readonly identity: Uint8Array } | { readonly token: string };
}

/** A piece was taken. */
export type Taken = 'taken';

/** Pieces on their way to the thread. */
const MOST_UNDER_WAY = 16;

/**
 * @param content as it is stored
 * @throws {DamagedError} when it is not what was saved, or not with this key
 * @throws {ServiceError} `config.*`, what `content` fails with, or the reason of `signal`
 */
export async function unpackInThread(
  task: UnpackingTask,
  content: Readable,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const failed = new AbortController();
  const taken = new EventEmitter();
  let underWay = 0;
  const hear = () => {
    underWay--;
    taken.emit('one');
  };
  const thread = startThread<Taken>('unpacking-worker', task, hear, AbortSignal.any([signal, failed.signal]));
  const ended = thread.ended.finally(() => content.destroy());
  // Whoever waits for a piece hears of it by the stream.
  ended.catch(() => {});
  try {
    for await (const piece of content as AsyncIterable<Buffer>) {
      // A piece is a part of a larger buffer, of which others may have parts.
      const own = new Uint8Array(piece);
      thread.say(own, [own.buffer]);
      if (++underWay >= MOST_UNDER_WAY) await Promise.race([once(taken, 'one'), ended]);
    }
    thread.say('end');
  } catch (error) {
    // Unless the thread has failed before, and had no use for more.
    failed.abort(error);
  }
  await ended;
}
