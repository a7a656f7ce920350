/** The metrics for Prometheus. They contain no secrets and nothing about users. */

import type { FastifyInstance } from 'fastify';

export interface MetricsSource {
  readonly contentType: string;
  text(): Promise<string>;
}

export const METRICS = '/metrics';

export function addMetricsRoute(app: FastifyInstance, metrics: MetricsSource): void {
  app.get(METRICS, { exposeHeadRoute: false, config: { looksOnly: true } }, async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
}
