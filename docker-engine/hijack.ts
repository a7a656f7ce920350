/**
 * A call to the Docker Engine whose connection becomes a bidirectional stream of bytes. Source: the Engine's API,
 * "Attach to a container", about hijacking.
 */

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** @throws Docker's answer if it is not an upgrade, like dockerode: with `statusCode` and `json` */
export async function hijack(
  socketPath: string,
  path: string,
  body: object,
  signal: AbortSignal,
): Promise<Socket> {
  const headers = { connection: 'Upgrade', upgrade: 'tcp', 'content-type': 'application/json' };
  const asked = request({ socketPath, path, method: 'POST', headers, agent: false, signal });
  asked.end(JSON.stringify(body));
  const refused = once(asked, 'response').then(([response]) => refusal(response as IncomingMessage));
  const [, socket, head] = await Promise.race([once(asked, 'upgrade'), refused]);
  // The request is complete, and its signal no longer affects the stream.
  if (head.length > 0) socket.unshift(head);
  return socket;
}

async function refusal(response: IncomingMessage): Promise<never> {
  const json = JSON.parse(await text(response));
  throw Object.assign(new Error(json.message), { statusCode: response.statusCode, json });
}
