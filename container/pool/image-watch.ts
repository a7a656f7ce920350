/**
 * Notices when the name of an image may refer to another image, because somebody has pulled, tagged, loaded or removed
 * one.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Surroundings } from '../surroundings.ts';

/** Milliseconds before the stream of events is opened again. */
const PAUSE = 2_000;

/**
 * Runs until the signal aborts.
 * @param changed also called each time events may have been missed
 */
export async function watchImages(
  { docker, log }: Pick<Surroundings, 'docker' | 'log'>,
  changed: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const events = await docker.imageEvents(signal);
      changed();
      for await (const _ of events) changed();
    } catch (error) {
      if (!signal.aborted) log.debug({ error }, 'the events of images are interrupted');
    }
    await pause(PAUSE, undefined, { signal, ref: false }).catch(() => {});
  }
}
