/** HTTPS requests like those of the service's callers: they do not verify its certificate. */

import { request } from 'node:https';
import { text } from 'node:stream/consumers';

export interface Call {
  readonly port: number;
  readonly method: string;
  readonly path: string;
  /** A string or buffer is sent unchanged, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Like the client app: without a Content-Length. */
  readonly chunked?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type: string | undefined;
}

export async function call({
  port,
  method,
  path,
  body,
  headers = {},
  chunked = false,
}: Call): Promise<Reply> {
  const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    rejectUnauthorized: false,
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(payload === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
      ...headers,
    },
  });
  outgoing.on('error', reject);
  outgoing.on('response', (response) => {
    text(response).then(
      (read) =>
        resolve({ status: response.statusCode ?? 0, body: read, type: response.headers['content-type'] }),
      reject,
    );
  });
  if (payload !== undefined) outgoing.write(payload);
  outgoing.end();
  return await promise;
}
