/**
 * Proves that a Docker container does not run, which is required before its resources are released. It also removes a
 * container that another client starts again.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { ContainerId } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** Seconds that a container gets to exit after the stop signal. */
const STOP_GRACE = 10;
/** Milliseconds between questions to Docker. */
const PAUSE = 500;

/**
 * Stops the container if it runs, and asks Docker until it is certain that it does not run.
 * @param patience when it aborts, Docker is asked once more and no longer
 * @param stop stops a running container
 * @returns how it was observed
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

/** Removes a container that runs after its end, because its ports and console may belong to others by now. */
export async function removeRevived(
  { docker, log }: Pick<Surroundings, 'docker' | 'log'>,
  container: ContainerId | undefined,
  dockerId: DockerId,
): Promise<void> {
  await docker.remove(dockerId);
  log.error({ container, dockerId }, 'removed a container that was started again after its end');
}
