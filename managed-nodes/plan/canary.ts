/**
 * Of the nodes of one type that are to be replaced, the first by name goes first. The others follow when it was accepted, and
 * do not get an image with which it was rejected. For anything else that keeps it from going they do not wait.
 */

import { ownOf } from './fitting.ts';
import type { Decision, World } from './world.ts';

/** @param decide what is next for a node @returns why the node waits; undefined: it does not */
export function whyWaitsForCanary(
  world: World,
  node: string,
  decide: (world: World, node: string) => Decision | undefined,
): string | undefined {
  const canary = canaryOf(world, node);
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

function canaryOf({ wanted }: World, node: string): string | undefined {
  const own = wanted.get(node)?.spec;
  if (own?.type === undefined) return undefined;
  const peers = [...wanted].filter(
    ([, { spec }]) => spec.type === own.type && spec.image === own.image && !spec.stopped,
  );
  return peers.map(([name]) => name).sort()[0];
}

/** What keeps the canary from its own settings is nothing to others. */
function getsAnotherImage(world: World, node: string): boolean {
  const digest = world.digests.get(world.wanted.get(node)?.spec.image ?? '');
  return digest !== ownOf(world, node, 'current')?.digest;
}
