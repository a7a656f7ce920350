/** This host as a whole, for operators. */

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
    summary: 'What the ECS agent on this host says of itself',
    answer: Agent,
    handle: () => operations.describeAgent(),
  });
  routes.add('GET', '/openapi.json', {
    summary: 'This document',
    answer: Document,
    handle: async () => document,
  });
  routes.add('PUT', '/drain', {
    summary: 'Take no more containers, and end when the last one has',
    description: 'Those in use go on. It cannot be taken back, and the same again changes nothing.',
    answer: Draining,
    handle: async () => ({ containers: operations.drain() }),
  });
}
