/**
 * A container whose making was asked for and never answered: Docker may have made it, or may be making it now. It is
 * looked for by its container id until it is found or it can be taken that it will never be.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { HostedDocker } from './hosted-docker.ts';
import type { ContainerId } from './identity.ts';

/** How often, and how many milliseconds apart, Docker is asked. */
const LOOKS = 20;
const BETWEEN_LOOKS = 200;

export async function removeUnanswered(
  docker: Pick<HostedDocker, 'hosted' | 'remove'>,
  hostId: string,
  containerId: ContainerId,
): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    const made = await docker.hosted(hostId, containerId).catch(() => undefined);
    // Where Docker does not answer at all, it has not heard of the container either.
    if (!made) return;
    for (const { dockerId } of made) await docker.remove(dockerId);
    if (made.length > 0) return;
    await pause(BETWEEN_LOOKS);
  }
}
