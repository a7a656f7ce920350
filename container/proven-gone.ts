/**
 * The proof that a Docker container does not run, without which nothing that it was given is released; and what
 * becomes of one that somebody starts again.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { ContainerId } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** Seconds that a container gets to end by itself when it is stopped. */
const STOP_GRACE = 10;
/** Milliseconds before Docker is asked again. */
const PAUSE = 500;

/**
 * Stops the container if it runs, and asks until Docker can tell that it does not.
 * @param patience when this aborts, Docker is asked once more and then given up
 * @param stop what is done with one that runs
 * @returns how it was seen
 */
export async function provenGone(
  docker: Docker,
  id: DockerId,
  patience: AbortSignal,
  log: Logger,
  stop = (running: DockerId) => docker.stop(running, STOP_GRACE),
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const last = patience.aborted;
    try {
      const found = await docker.inspect(id);
      if (!found) return 'Docker no longer knows its container';
      if (!found.running) return `its container is ${found.status}, code ${found.exitCode}`;
      await stop(id);
    } catch (error) {
      if (last) throw error;
      if (attempt === 1)
        log.warn({ why: messageOf(error) }, 'cannot tell yet whether the container still runs');
      await pause(PAUSE, undefined, { signal: patience }).catch(() => {});
    }
  }
}

/** Removes a container that runs after its end: its ports and its console are others' by now. */
export async function removeRevived(
  { docker, log }: Pick<Surroundings, 'docker' | 'log'>,
  container: ContainerId | undefined,
  dockerId: DockerId,
): Promise<void> {
  await docker.remove(dockerId);
  log.error({ container, dockerId }, 'removed a container that was started again after its end');
}
