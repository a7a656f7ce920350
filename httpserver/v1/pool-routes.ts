/** The routes about the pools of warm containers. */

import type { PoolSpec } from '../../container/pool/pool-spec.ts';
import type { Gate } from '../gate.ts';
import type { Hosted, Hosting } from '../hosting.ts';
import { type CreateOptions, mountsOf, requestOf } from './create-routes.ts';
import { ByPool, NewPool, Pool, Pools } from './pool-schemas.ts';
import type { Routes } from './routes.ts';

/** In seconds: six hours. */
const MAX_AGE = 21_600;

export function addPoolRoutes(
  routes: Routes,
  gate: Gate<Hosting>,
  { allowedMounts }: Pick<CreateOptions, 'allowedMounts'>,
): void {
  routes.add('GET', '/pools', {
    summary: 'List the pools of warm containers, by name',
    answer: Pools,
    handle: async () => ({ pools: gate.check().warm.list() }),
  });
  routes.add('GET', '/pools/:name', {
    summary: 'Describe one pool',
    params: ByPool,
    answer: Pool,
    handle: async ({ params: { name } }) => gate.check().warm.named(name),
  });
  routes.add('PUT', '/pools/:name', {
    summary: 'Make a pool, or change it',
    description:
      'The service fills the pool in the background. A change of `size`, `maxAge` or `pull` keeps its containers; any other change replaces them. The pool stays until you remove it or the service stops; an upgrade keeps it. For a permanent pool, use the setting POOL.',
    params: ByPool,
    body: NewPool,
    answer: Pool,
    handle: ({ params: { name }, body }) =>
      gate.pass(async (hosting) => hosting.warm.set(name, poolOf(body, allowedMounts, hosting))),
  });
  routes.add('DELETE', '/pools/:name', {
    summary: 'Remove a pool and end its containers',
    description:
      'The answer shows the pool as it was before. Containers that users have taken keep running. A pool from the setting POOL returns at the next start of the service.',
    params: ByPool,
    answer: Pool,
    handle: ({ params: { name } }) => gate.pass(async ({ warm }) => warm.delete(name)),
  });
}

/** @throws {ServiceError} as the creation of such a container */
export function poolOf(
  asked: NewPool,
  allowed: readonly string[],
  hosted: Hosted,
  isPermanent = false,
): PoolSpec {
  const { size, maxAge = MAX_AGE, ...body } = asked;
  return {
    asked,
    isPermanent,
    size,
    maxAge,
    pull: body.pull ?? 'missing',
    request: requestOf(body, mountsOf(body, allowed, hosted)),
  };
}
