/**
 * Computes the hash of everything that determines a node's container. Each container carries the hash of its spec in a
 * label. After a restart, the service compares hashes to find the containers that still match the feed. Everyone who
 * may inspect a container can read its labels, and a spec may hold secrets. So the hash needs a key that only root can
 * read.
 */

import { createHash, createHmac } from 'node:crypto';
import type { WantedNode } from '../plan/node-container.ts';
import type { NodeSpec } from './node-spec.ts';

/** Increase this number when the same spec must produce a different container. All containers are then replaced. */
const VERSION = 1;

/** The hash leaves out `stopped` and `update`, because they do not change the container. */
export function wantedNode(spec: NodeSpec, key: Uint8Array): WantedNode {
  const made = canonical({ version: VERSION, ...spec, stopped: undefined, update: undefined });
  return {
    spec,
    hash: createHmac('sha256', key).update(made).digest('hex'),
    plainHash: createHash('sha256').update(made).digest('hex'),
  };
}

/** Returns JSON that does not depend on the order of members. Undefined members are left out. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
