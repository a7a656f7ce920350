/** Tells whether a node's container matches the wanted spec and image. */

import { keyOf, type NodeContainer, type Rank } from './node-container.ts';
import type { World } from './world.ts';

/** Docker may refuse one start by accident, so one refusal does not count. */
const MOST_REFUSALS = 2;

export function ownOf(
  { actual }: Pick<World, 'actual'>,
  node: string,
  rank: Rank,
): NodeContainer | undefined {
  return actual.of(node).find((one) => one.rank === rank);
}

/** As long as the registry's digest is unknown, the container's own image counts as the wanted one. */
export function fits({ wanted, digests }: World, { node, hash, digest }: NodeContainer): boolean {
  const one = wanted.get(node);
  return one?.hash === hash && (digests.get(one.spec.image) ?? digest) === digest;
}

export function isRejected({ memory }: World, container: NodeContainer): boolean {
  return memory.get(container.node)?.rejected?.key === keyOf(container);
}

/** @returns why Docker refuses to start the container; undefined if it may start */
export function whyRefused({ memory }: World, { id, node }: NodeContainer): string | undefined {
  const { refused } = memory.get(node) ?? {};
  return refused?.container === id && refused.times >= MOST_REFUSALS ? refused.why : undefined;
}

/** Whether the service will stop this container anyway, so that its ports become free. */
export function isMoving(world: World, container: NodeContainer): boolean {
  const { wanted, digests, memory, isLocked } = world;
  const one = wanted.get(container.node);
  if (!one) return !wanted.unusable.has(container.node);
  if (one.spec.stopped) return true;
  if (container.rank === 'candidate') return !fits(world, container) || isRejected(world, container);
  const digest = digests.get(one.spec.image) ?? '';
  const isReverted = memory.get(container.node)?.rejected?.key === keyOf({ hash: one.hash, digest });
  return !isLocked && !fits(world, container) && !isReverted;
}
