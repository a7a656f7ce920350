/**
 * Searches for a container whose create call was not answered: Docker may have created it or may be creating it now. It
 * is looked up by its container id until it is found, or until it is safe to assume that it will never exist.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { HostedDocker } from './hosted-docker.ts';
import type { ContainerId } from './identity.ts';

/** How many times, and at which interval in milliseconds, Docker is asked. */
const LOOKS = 20;
const BETWEEN_LOOKS = 200;

export async function removeUnanswered(
  docker: Pick<HostedDocker, 'hosted' | 'remove'>,
  hostId: string,
  containerId: ContainerId,
): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    const made = await docker.hosted(hostId, containerId).catch(() => undefined);
    // If Docker does not answer at all, it has not received the create call either.
    if (!made) return;
    for (const { dockerId } of made) await docker.remove(dockerId);
    if (made.length > 0) return;
    await pause(BETWEEN_LOOKS);
  }
}
