/** Turns the nodes in a feed into wanted nodes. A node that the service cannot use keeps its last usable spec. */

import type { WantedNode } from '../plan/node-container.ts';
import { Wanted } from '../plan/wanted.ts';
import { NODE_NAME, type NodeSpec } from '../spec/node-spec.ts';
import type { UnusableNode, WantedApp } from './feed.ts';

/** How many unusable nodes an error names. */
const NAMED = 3;
const LONGEST_NAME = 63;

/**
 * @param before the nodes that were wanted until now
 * @param nodeOf computes the hash of a spec
 */
export function wantedFrom(
  { nodes, unusable = [] }: WantedApp,
  before: Wanted,
  nodeOf: (spec: NodeSpec) => WantedNode,
): Wanted {
  const last = unusable.flatMap(({ name }) => {
    const known = before.get(name);
    return known ? [[name, known] as const] : [];
  });
  const now = nodes.map((spec) => [spec.name, nodeOf(spec)] as const);
  // A container with another name cannot exist.
  const isName = new RegExp(NODE_NAME);
  const named = unusable.filter(({ name }) => isName.test(name));
  const causes = named.map(({ name, why }) => [name, `its spec cannot be used: ${why}`] as const);
  return new Wanted(new Map([...last, ...now]), new Map(causes));
}

/** Names the first unusable nodes with their reasons. */
export function whyUnusableNodes(unusable: readonly UnusableNode[]): string {
  const named = unusable
    .slice(0, NAMED)
    .map(({ name, why }) => `of the node ${name.slice(0, LONGEST_NAME)}, ${why}`);
  const others = unusable.length - named.length;
  return [...named, ...(others > 0 ? [`and ${others} more`] : [])].join('; ');
}
