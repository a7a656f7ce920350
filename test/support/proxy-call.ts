/** A call to the service's Docker API, as any client may write it. */

import { request } from 'node:http';
import { text } from 'node:stream/consumers';

export interface ProxyAnswer {
  readonly status: number;
  readonly message: string;
}

/** @param proxy path of its socket @param type of the body */
export async function callProxy(
  proxy: string,
  method: string,
  path: string,
  body: string | Buffer,
  type = 'application/json',
): Promise<ProxyAnswer> {
  const call = request({ socketPath: proxy, method, path, headers: { 'Content-Type': type } });
  const answered = new Promise<ProxyAnswer>((resolve, reject) => {
    call.on('error', reject);
    call.on('response', (answer) => {
      text(answer).then((message) => resolve({ status: answer.statusCode ?? 0, message }), reject);
    });
  });
  call.end(body);
  return await answered;
}
