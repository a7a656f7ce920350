/** The requests of the webserver, the client app and local scripts, and the answers of the program in a container. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { IMAGE } from '../../scripts/image.ts';
import { call, type Reply } from './https.ts';
import { CLIENT_SECRET, SECRET, TOKEN } from './secrets.ts';
import type { ServiceLog } from './service-log.ts';

export const USER = 'user@example.com';

export const OK: Reply = { status: 200, type: 'text/plain; charset=utf-8', body: '{"result":""}' };

type Fields = Readonly<Record<string, unknown>>;

/** The request of the predecessor's local script. */
export function spinUp(service: ServiceLog, fields: Fields = {}): Promise<Reply> {
  const body = {
    auth_secret: SECRET,
    app_name: 'demo',
    app_image: IMAGE,
    mount_command: '',
    protocol_timeout: 60,
  };
  return service.put('/spin_up_container', { ...body, ...fields });
}

/** The request of an operator for a container, of which a host can have many. */
export async function make(service: ServiceLog, fields: Fields = {}): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = { socketPath: service.apiSocket, method: 'POST', path: '/v1/containers', agent: false };
  const body = JSON.stringify({ app: 'demo', image: IMAGE, timeout: 60, ...fields });
  request(asked, resolve).on('error', reject).end(body);
  const response = await promise;
  const { statusCode: status = 0, headers } = response;
  return { status, body: await text(response), type: headers['content-type'] };
}

/** Makes a container. @returns its docker id */
export async function host(service: ServiceLog, fields: Fields = {}): Promise<string> {
  const { status, body } = await make(service, fields);
  assert.equal(status, 201, body);
  return JSON.parse(body).docker;
}

/** The request of the webserver. */
export function startValues(service: ServiceLog, port: number, fields: Fields = {}): Promise<Reply> {
  const body = { host_port: port, container_ARN: 'arn:task/1', dpi: 96, user_id: USER };
  const secrets = { client_app_auth_secret: CLIENT_SECRET, auth_secret: SECRET };
  return service.put('/set_container_start_values', { ...body, ...secrets, ...fields });
}

/** The request of the client app, in its form: without a Content-Length. */
export function token(service: ServiceLog, port: number, fields: Fields = {}): Promise<Reply> {
  const body = {
    user_id: USER,
    client_app_auth_secret: CLIENT_SECRET,
    host_port: port,
    config_encryption_token: TOKEN,
  };
  const path = '/set_config_encryption_token';
  return call({ port: service.port, method: 'PUT', path, body: { ...body, ...fields }, chunked: true });
}

/** Both set-up calls of a user's container; they must succeed. @param fields of the start values */
export async function claim(service: ServiceLog, port: number, fields: Fields = {}): Promise<void> {
  assert.deepEqual(await startValues(service, port, fields), OK);
  assert.deepEqual(await token(service, port), OK);
}

/** The findings of the program in the container. */
export interface Found {
  readonly port: string;
  readonly tty: string;
  readonly dpi: string | null;
  readonly arn: string;
  readonly timeout: string | null;
  /** The origin of the user's files. */
  readonly userConfig: string;
  /** The number of containers that had them before. */
  readonly visits: number;
  readonly ownConsole: string;
  readonly otherConsole: string;
  readonly deviceRules: string;
}

/** Connects to the host port of 32262/tcp until the program listens there. */
export async function askTcp(port: number): Promise<Found> {
  for (const patience = AbortSignal.timeout(30_000); ; await pause(20)) {
    patience.throwIfAborted();
    const socket = connect({ host: '127.0.0.1', port });
    const answer = await text(socket).catch(() => '');
    if (answer !== '') return JSON.parse(answer);
  }
}

/** Sends to the host port of 32263/udp; the program must already listen. */
export async function askUdp(port: number): Promise<Found> {
  const socket = createSocket('udp4');
  try {
    socket.send('?', port, '127.0.0.1');
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
    return JSON.parse(String(answer));
  } finally {
    socket.close();
  }
}
