/** Makes a source on a queue in memory. */

import type { Held } from '../../src/receiving/held.ts';
import { Slots } from '../../src/receiving/slots.ts';
import { Source, type SourceOptions } from '../../src/receiving/source.ts';
import type { MemoryQueue } from './memory-queue.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const quietLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export const MESSAGE_TYPE = { name: 'text' };

export type Handler = (held: Held) => Promise<unknown>;

export function makeSource(
  clock: VirtualClock,
  queue: MemoryQueue,
  handle: Handler,
  { concurrency = 1, ...options }: Partial<SourceOptions> = {},
): Source {
  return new Source({
    name: 'before',
    queue,
    messageType: MESSAGE_TYPE,
    slots: new Slots(concurrency),
    concurrency,
    visibilitySeconds: 30,
    handle,
    backoff: () => 0,
    clock,
    logger: quietLogger,
    onRetry: () => {},
    onReceived: () => {},
    ...options,
  });
}

/** A deadline that never passes. */
export const NEVER = new AbortController().signal;

/** Resolves when the condition holds. It is checked every few milliseconds of the clock. */
export async function until(clock: VirtualClock, holds: () => boolean, step = 10): Promise<void> {
  for (let looks = 0; !holds(); looks += 1) {
    if (looks > 1_000_000) throw new Error('the condition never holds');
    await clock.sleep(step);
  }
}
