/** What becomes of a container that did not come up. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HostedContainer } from './container.ts';
import type { Tracker } from './tracker.ts';

/** Milliseconds that a caller is made to wait for what is left of it. */
const PATIENCE = 20_000;

/**
 * Waits until nothing is left of it, but no longer than a caller does: while Docker is away it goes on behind.
 * @param remove removes its Docker container, if it came to that
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
