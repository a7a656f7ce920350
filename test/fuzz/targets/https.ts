/** The HTTPS port of a real service, as any client on the network can use it. */

import { once } from 'node:events';
import { connect } from 'node:tls';
import { SECRET } from '../../support/secrets.ts';
import { checkAnswers } from '../exchange.ts';
import { requests } from '../http-messages.ts';
import { OPERATOR_TOKEN, RealService } from '../real-service.ts';
import type { Target } from '../target.ts';

const GRAMMAR = {
  paths: [
    '/set_container_start_values',
    '/set_config_encryption_token',
    '/spin_up_container',
    '/healthz',
    '/version',
    '/metrics',
    '/console',
    '/console/session',
    '/v1/containers',
    '/v1/capacity',
    '/v1/events',
    '*',
  ],
  fields: {
    auth_secret: SECRET,
    host_port: 1,
    dpi: 96,
    user_id: 'user@example.com',
    container_ARN: 'arn:task/1',
    container_id: 'x',
    client_app_auth_secret: 'secret',
    config_encryption_token: 'token',
    app_name: 'demo',
    app_image: 'test/none',
    mount_command: '-v /tmp/x:/x',
    protocol_timeout: 60,
  },
  headers: [
    `Authorization: Bearer ${OPERATOR_TOKEN}`,
    'Authorization: Basic eDp5',
    'Cookie: session=x',
    'Accept: text/html',
  ],
};

export const target: Target<Buffer> = {
  share: 30,
  parsers: [
    'httpserver/app.ts',
    'httpserver/json-body.ts',
    'httpserver/answers-in-turn.ts',
    'httpserver/gentle-close.ts',
    'httpserver/predecessor-routes.ts',
    'httpserver/v1/authority.ts',
    'parsing/json.ts',
  ],
  inputs: requests(GRAMMAR),
  open: () =>
    RealService.open({
      judge: checkAnswers,
      dial: async ({ port }) => {
        const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
        await once(socket, 'secureConnect');
        return socket;
      },
    }),
};
