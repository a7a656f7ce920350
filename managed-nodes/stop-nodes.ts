/**
 * Stops all nodes when the service ends. No new step begins. A step that is under way may still start a container, so
 * the service looks at Docker again after it has stopped what it saw.
 */

import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { Actual } from './plan/actual.ts';
import { isActive } from './plan/node-container.ts';
import type { Reconciler } from './reconciler.ts';

/** Seconds between SIGTERM and SIGKILL. */
const GRACE = 30;
/**
 * Milliseconds for which the service waits for steps under way. A pull may take longer, and starts nothing. With two
 * rounds of stops, this takes less than two minutes; systemd gives the service 15 minutes to stop.
 */
const STEPS = 10_000;
const ROUNDS = 2;

export interface StopOptions {
  readonly reconciler: Pick<Reconciler, 'close' | 'settled' | 'world'>;
  readonly look: () => Promise<Actual>;
  readonly docker: Pick<Docker, 'stop'>;
  readonly log: Logger;
}

/** Never rejects. */
export async function stopNodes({ reconciler, look, docker, log }: StopOptions): Promise<void> {
  reconciler.close();
  await reconciler.settled(AbortSignal.timeout(STEPS));
  const stopped = new Set<DockerId>();
  const failed = new Set<DockerId>();
  for (let round = 0; round < ROUNDS; round++) {
    // If Docker does not list its containers, it may still stop the ones that the service knows.
    const { containers } = await look().catch(() => reconciler.world.actual);
    const running = containers.filter((one) => isActive(one) && !failed.has(one.id));
    if (running.length === 0) break;
    const stops = running.map(async ({ id, node }) => {
      try {
        await docker.stop(id, GRACE);
        stopped.add(id);
      } catch (error) {
        failed.add(id);
        log.error({ node, why: messageOf(error) }, 'could not stop a node');
      }
    });
    await Promise.all(stops);
  }
  log.info({ nodes: stopped.size }, 'stopped the nodes');
}
