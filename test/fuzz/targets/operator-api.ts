/** The operator's API of a real service, as root can use it on the unix socket. */

import { connect } from 'node:net';
import { checkAnswers } from '../exchange.ts';
import { requests } from '../http-messages.ts';
import { RealService } from '../real-service.ts';
import type { Target } from '../target.ts';

const ID = 'f'.repeat(60);
/** Contains nothing that ends the host or its container: neither `/v1/drain` nor the container's own id. */
const GRAMMAR = {
  paths: [
    '/v1/agent',
    '/v1/capacity',
    '/v1/containers',
    `/v1/containers/${ID}`,
    `/v1/containers/${ID}/config-token`,
    `/v1/containers/${ID}/logs`,
    `/v1/containers/${ID}/receipt`,
    `/v1/containers/${ID}/start-values`,
    `/v1/containers/${ID}/stop`,
    `/v1/containers/${ID}/terminal`,
    `/v1/containers/${ID}/user-config`,
    '/v1/events',
    '/v1/host',
    '/v1/images/pull',
    '/v1/nodes',
    '/v1/nodes/plan',
    '/v1/nodes/x/logs',
    '/v1/openapi.json',
    '/v1/terminals',
    '/v1/terminals/0123456789abcdef/attach',
    '/healthz',
    '/metrics',
  ],
  fields: {
    app: 'demo',
    image: 'test/none',
    pull: 'never',
    timeout: 60,
    environment: { A: 'b' },
    mounts: [{ source: '/tmp', target: '/x', readOnly: true }],
    ports: [{ containerPort: 80, protocol: 'tcp' }],
    limits: { memory: 2 ** 26 },
    dpi: 96,
    user: 'user@example.com',
    token: 'token',
    version: 'versions/1.age',
    command: ['sh'],
  },
  headers: [
    'Idempotency-Key: k',
    'Last-Event-ID: 1-2',
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ],
};

export const target: Target<Buffer> = {
  share: 60,
  parsers: [
    'httpserver/v1/routes.ts',
    'httpserver/v1/handshakes.ts',
    'httpserver/v1/idempotency.ts',
    'httpserver/v1/container-routes.ts',
    'httpserver/v1/create-routes.ts',
    'httpserver/v1/terminal-routes.ts',
    'docker-engine/image-reference.ts',
  ],
  inputs: requests(GRAMMAR),
  open: () => RealService.open({ judge: checkAnswers, dial: ({ apiSocket }) => connect(apiSocket) }),
};
