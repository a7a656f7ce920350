/**
 * The digest of all that a node's container is made from. A container carries the digest of its own spec, so a service that
 * starts knows which containers are still as the feed wants them, whoever made them.
 */

import { createHash } from 'node:crypto';
import type { NodeSpec } from './node-spec.ts';

/** Counts up when the same spec is to give another container: then all containers are replaced. */
const VERSION = 1;

/** Whether it runs, and how it is replaced, is no part of what it is made from. */
export function specHash(spec: NodeSpec): string {
  const made = { version: VERSION, ...spec, stopped: undefined, update: undefined };
  return createHash('sha256').update(canonical(made)).digest('hex');
}

/** JSON in which the order of members, and members that are left out, make no difference. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
