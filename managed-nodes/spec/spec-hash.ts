/**
 * Computes the digest of everything that a node's container is made from. Each container carries the digest of its spec
 * in a label. After a restart, the service compares digests to find the containers that still match the feed.
 */

import { createHash } from 'node:crypto';
import type { NodeSpec } from './node-spec.ts';

/** Increase this number when the same spec must produce a different container. All containers are then replaced. */
const VERSION = 1;

/** The digest leaves out `stopped` and `update`, because they do not change the container. */
export function specHash(spec: NodeSpec): string {
  const made = { version: VERSION, ...spec, stopped: undefined, update: undefined };
  return createHash('sha256').update(canonical(made)).digest('hex');
}

/** Returns JSON that does not depend on the order of members. Undefined members are left out. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
