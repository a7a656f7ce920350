/** Generates the OpenAPI document of the operator's API from its routes: `openapi.ts OUTPUT`. */

import { writeFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import { fastify } from 'fastify';
import { Gate } from '../httpserver/gate.ts';
import { rootAlone } from '../httpserver/v1/authority.ts';
import { Idempotency } from '../httpserver/v1/idempotency.ts';
import { PulledImage, PullProgress } from '../httpserver/v1/image-schemas.ts';
import { LogLine } from '../httpserver/v1/log-routes.ts';
import { NoticeEvent } from '../httpserver/v1/notice-schemas.ts';
import { addOperatorApi } from '../httpserver/v1/operator-api.ts';
import { Event } from '../httpserver/v1/schemas.ts';
import { isRecord } from '../parsing/json.ts';
import { VERSION } from '../src/version.ts';

const unasked = () => Promise.reject(new Error('this server answers nobody'));
const unheard = () => {
  throw new Error('this server answers nobody');
};

export async function openApi(): Promise<object> {
  const app = fastify();
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ecs-host-service',
        version: VERSION,
        description:
          "The operator's API of a host: on its HTTPS port with the operator's token, and on a unix socket for root.",
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: 'https://{host}:4678', variables: { host: { default: 'localhost' } } }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    hideUntagged: false,
  });
  const operations = {
    describeHost: unasked,
    describeAgent: unasked,
    history: unheard,
    diagnose: unasked,
    drain: () => 0,
    nodes: unheard,
  };
  addOperatorApi(app, new Gate(), {
    authority: rootAlone,
    operations,
    create: { allowedMounts: [], requests: new Idempotency<never>() },
    closing: new AbortController().signal,
  });
  await app.ready();
  const schemas: Record<string, unknown> = {};
  const document = JSON.parse(JSON.stringify(app.swagger()));
  await app.close();
  const paths = named(document.paths, schemas);
  // The messages of streams, which paths cannot describe.
  for (const schema of [Event, NoticeEvent, LogLine, PullProgress, PulledImage]) named(schema, schemas);
  return { ...document, paths, components: { ...document.components, schemas } };
}

/** Replaces each schema with a name by a reference, and adds the schema to `schemas`. */
function named(value: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((one) => named(one, schemas));
  if (!isRecord(value)) return value;
  const whole = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, named(one, schemas)]));
  const { title } = value;
  if (typeof title !== 'string') return whole;
  schemas[title] = whole;
  return { $ref: `#/components/schemas/${title}` };
}

const [output] = process.argv.slice(2);
if (import.meta.main && output) writeFileSync(output, JSON.stringify(await openApi(), null, 2));
