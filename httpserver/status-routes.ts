/** Public information: whether the host accepts containers, and its version. Nothing here is secret. */

import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors/service-error.ts';
import type { Gate } from './gate.ts';
import type { Hosting } from './hosting.ts';

export interface Version {
  readonly version: string;
  readonly commit: string;
}

export const HEALTH = '/healthz';
export const VERSION = '/version';

export function addStatusRoutes(app: FastifyInstance, gate: Gate<Hosting>, version: Version): void {
  app.get(HEALTH, async () => {
    const { tracker, watch } = gate.check();
    tracker.throwIfClosed();
    const { silence } = watch;
    if (silence !== undefined) throw new ServiceError('docker.silent', { why: silence });
    return { status: 'ok' };
  });
  app.get(VERSION, async () => version);
}
