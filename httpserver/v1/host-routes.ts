/** The routes about this host as a whole. */

import { Diagnosis } from './diagnosis-schemas.ts';
import { History } from './history-schemas.ts';
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
  routes.add('GET', '/history', {
    summary: 'Get numbers of the last hour, and how many containers have ended since the service started',
    answer: History,
    handle: async () => operations.history(),
  });
  routes.add('GET', '/diagnosis', {
    summary: 'Check this host, its settings and its leaks, and get how to fix what is wrong',
    description:
      'The same checks as those of "ecs-host-service doctor". They change nothing. They run at most once a minute; in between, the answer is the last result.',
    answer: Diagnosis,
    handle: () => operations.diagnose(),
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
