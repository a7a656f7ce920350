/**
 * Replaces one node of a type before the others. Of the nodes with the same type and image, the first by name is the
 * canary. The other nodes wait while the canary is replaced. If the canary's new container is rejected, they keep their
 * current image. If the canary is held up for another reason, they do not wait.
 */

import { ownOf } from './fitting.ts';
import type { Decision, World } from './world.ts';

/** @param decide decides the next step of a node @returns why the node waits; undefined if it does not wait */
export function whyWaitsForCanary(
  world: World,
  node: string,
  decide: (world: World, node: string) => Decision | undefined,
): string | undefined {
  const spec = world.wanted.get(node)?.spec;
  const canary = spec && world.wanted.canaryOf(spec);
  if (canary === undefined || canary === node) return undefined;
  const decision = decide(world, canary);
  const isUnderWay = decision?.state === 'backoff' && ownOf(world, canary, 'candidate') !== undefined;
  if (decision?.step || decision?.state === 'checking' || isUnderWay)
    return `the node ${canary} of its type is replaced first`;
  const isRejected = decision?.state === 'reverted' || decision?.state === 'failed';
  return isRejected && getsAnotherImage(world, node)
    ? `the node ${canary} of its type was rejected with this image`
    : undefined;
}

/** A rejected canary stops only new images. A node that keeps its image may still get a new spec. */
function getsAnotherImage(world: World, node: string): boolean {
  const digest = world.digests.get(world.wanted.get(node)?.spec.image ?? '');
  return digest !== ownOf(world, node, 'current')?.digest;
}
