/**
 * The socket of a real service's Docker proxy, with anything that a client of Docker may send. The real Docker is
 * behind the proxy.
 */

import { connect } from 'node:net';
import { join } from 'node:path';
import { requests } from '../http-messages.ts';
import { RealService } from '../real-service.ts';
import type { Target } from '../target.ts';

/** Contains no existing image or container. */
const GRAMMAR = {
  paths: [
    '/_ping',
    '/v1.21/version',
    '/v1.41/containers/json',
    '/v1.41/containers/create',
    '/v1.41/containers/none/json',
    '/v1.41/containers/none/start',
    '/v1.41/containers/none/stop',
    '/v1.41/containers/none/update',
    '/v1.41/containers/none/rename',
    '/v1.41/containers/none/exec',
    '/v1.41/containers/none/archive',
    '/v1.41/containers/none/attach',
    '/v1.41/networks/none/connect',
    '/v01.024/containers/create',
    '/containers/create',
    '/events',
  ],
  fields: {
    Image: 'test/none',
    Labels: { 'ecs-host-service.interactive': 'true' },
    labels: {},
    Cmd: ['sh'],
    Env: ['A=b'],
    ExposedPorts: { '80/tcp': {} },
    HostConfig: {
      Binds: ['/tmp/%%FRACTAL_ID_PLACEHOLDER%%:/x:ro'],
      PortBindings: { '80/tcp': [{ HostPort: '' }] },
      Memory: 2 ** 26,
      CapAdd: null,
    },
    hostConfig: { Privileged: true },
    NetworkingConfig: { EndpointsConfig: {} },
  },
  headers: ['Upgrade: tcp\r\nConnection: Upgrade', 'Content-Type: application/json', 'X-Registry-Auth: e30='],
};

export const target: Target<Buffer> = {
  share: 40,
  parsers: [
    'ecs-agent-bridge/docker-proxy/connection.ts',
    'ecs-agent-bridge/docker-proxy/message-head.ts',
    'ecs-agent-bridge/docker-proxy/body-scanner.ts',
    'ecs-agent-bridge/docker-proxy/source.ts',
    'ecs-agent-bridge/docker-proxy/read-body.ts',
    'ecs-agent-bridge/docker-proxy/passing.ts',
    'container/creation/accepted-fields.ts',
    'container/creation/create-body.ts',
  ],
  inputs: requests(GRAMMAR),
  open: () =>
    RealService.open({
      dial: ({ apiSocket }) => connect(join(apiSocket, '../docker.sock')),
      judge: (said) => {
        if (said !== '' && !said.startsWith('HTTP/1.')) throw new Error(`not HTTP: ${said.slice(0, 200)}`);
        if (said.startsWith('HTTP/1.1 503')) throw new Error('Docker was lost');
      },
    }),
};
