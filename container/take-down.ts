/** Removes a container that failed to start. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HostedContainer } from './container.ts';
import type { Tracker } from './tracker.ts';

/** The time limit in milliseconds for which a caller waits. */
const PATIENCE = 20_000;

/**
 * Waits until nothing is left of the container, but not longer than a caller should wait. If Docker is unreachable, the
 * removal continues in the background.
 * @param remove removes its Docker container, if there is one
 */
export async function takeDown(
  container: HostedContainer,
  { lifetime, host }: Tracker,
  why: string,
  remove: (id: DockerId) => Promise<void>,
): Promise<void> {
  const ended = async () => {
    await container.end({ code: 'not-started', text: why });
    if (container.dockerId) await remove(container.dockerId);
  };
  try {
    await withDeadline(PATIENCE, 'taking it down', () => lifetime.track('taking it down', ended()));
  } catch (error) {
    host.log.error({ container: container.id, error }, 'could not remove a container that failed to start');
  }
}
