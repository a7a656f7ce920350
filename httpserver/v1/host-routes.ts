/** The routes about this host as a whole. */

import document from './openapi.json' with { type: 'json' };
import type { Operations } from './operations.ts';
import type { Routes } from './routes.ts';
import { Agent, Document, Draining, Host } from './schemas.ts';

export function addHostRoutes(routes: Routes, operations: Operations): void {
  routes.add('GET', '/host', {
    summary: 'Describe this host',
    answer: Host,
    handle: () => operations.describeHost(),
  });
  routes.add('GET', '/agent', {
    summary: 'Get what the ECS agent on this host reports about itself',
    answer: Agent,
    handle: () => operations.describeAgent(),
  });
  routes.add('GET', '/openapi.json', {
    summary: 'Get this document',
    answer: Document,
    handle: async () => document,
  });
  routes.add('PUT', '/drain', {
    summary: 'Drain: accept no more containers, and exit when the last one has ended',
    description:
      'Containers in use keep running. You cannot undo a drain. The same call again has no effect.',
    answer: Draining,
    handle: async () => ({ containers: operations.drain() }),
  });
}
