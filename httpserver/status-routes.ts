/** What anybody may ask: whether the host takes containers, and which version it runs. Nothing secret. */

import type { FastifyInstance } from 'fastify';
import type { Gate } from './gate.ts';

export interface Version {
  readonly version: string;
  readonly commit: string;
}

export const HEALTH = '/healthz';
export const VERSION = '/version';

export function addStatusRoutes(app: FastifyInstance, gate: Gate<unknown>, version: Version): void {
  app.get(HEALTH, async () => {
    gate.check();
    return { status: 'ok' };
  });
  app.get(VERSION, async () => version);
}
