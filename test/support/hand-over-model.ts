/** The behaviour of the simulated Docker's containers in a hand-over. */

import { ownOf } from '../../managed-nodes/plan/fitting.ts';
import type { NodeContainer } from '../../managed-nodes/plan/node-container.ts';
import type { World } from '../../managed-nodes/plan/world.ts';

/**
 * Milliseconds after which a container with a successful health check writes its file. Other containers never write it.
 */
const HANDS_OVER_AFTER = 5_000;

export function seenInHandOver(one: NodeContainer, now: number): NodeContainer {
  const { handOver, state, health, started = now } = one;
  const isReady = state === 'running' && health === 'healthy';
  const isComplete = isReady && now >= started + HANDS_OVER_AFTER;
  return handOver && isComplete ? { ...one, handOver: { ...handOver, isComplete } } : one;
}

/** Whether the node's new container runs, has not written its file, and still has time for it. */
export function isHandingOver(world: World, node: string): boolean {
  const { update, stopped } = world.wanted.get(node)?.spec ?? {};
  const candidate = ownOf(world, node, 'candidate');
  if (update?.order !== 'hand-over' || stopped || candidate?.state !== 'running') return false;
  const { handOver, started = 0 } = candidate;
  return handOver?.isComplete === false && world.now < started + 1000 * (update.deadline ?? 300);
}
