/** Tells whether a node's container matches the wanted spec and image. */

import { isActive, keyOf, type NodeContainer, type Rank } from './node-container.ts';
import type { Rejected, World } from './world.ts';

/** Docker may refuse one start for a passing reason, so one refusal does not count. */
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
  if (one === undefined || ![one.hash, one.plainHash].includes(hash)) return false;
  return (digests.get(one.spec.image) ?? digest) === digest;
}

export function isRejected({ memory }: World, container: NodeContainer): boolean {
  return memory.get(container.node)?.rejected?.key === keyOf(container);
}

/** @returns the rejection of a container with the wanted spec and image */
export function rejectedAsWanted({ wanted, digests, memory }: World, node: string): Rejected | undefined {
  const [one, rejected] = [wanted.get(node), memory.get(node)?.rejected];
  const digest = one && digests.get(one.spec.image);
  if (!rejected || digest === undefined) return undefined;
  const keys = [one?.hash, one?.plainHash].map((hash = '') => keyOf({ hash, digest }));
  return keys.includes(rejected.key) ? rejected : undefined;
}

/** Docker's error message. Source: containerd, `ErrAlreadyExists` of a task. */
const LEFT_TASK = /\btask [0-9a-f]+: already exists/;

/** @returns why Docker refuses to start the container; undefined if it may start */
export function whyRefused({ memory }: World, { id, node }: NodeContainer): string | undefined {
  const { refused } = memory.get(node) ?? {};
  return refused?.container === id && refused.times >= MOST_REFUSALS ? refused.why : undefined;
}

/**
 * Whether containerd still has a task of this container, which a crash of Docker left. Docker then never starts the
 * container again. Another container that is made in the same way is not affected.
 */
export function hasLeftTask(world: World, container: NodeContainer): boolean {
  return !isActive(container) && LEFT_TASK.test(whyRefused(world, container) ?? '');
}

/** Whether the service will stop this container anyway, so that its ports become free. */
export function isMoving(world: World, container: NodeContainer): boolean {
  const { wanted, isLocked, opensAt } = world;
  const one = wanted.get(container.node);
  if (!one) return !wanted.unusable.has(container.node);
  if (one.spec.stopped) return true;
  if (container.rank === 'candidate') return !fits(world, container) || isRejected(world, container);
  return (
    !isLocked && opensAt === undefined && !fits(world, container) && !rejectedAsWanted(world, container.node)
  );
}
