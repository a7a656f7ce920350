/**
 * Opens the WebSocket of a data channel. The service accepts the token in the first message as proof. It also accepts a
 * signed request, for which the caller needs ssmmessages:OpenDataChannel. If a signed request is refused, this function
 * connects without a signature.
 */

import { once } from 'node:events';
import WebSocket from 'ws';

/** The most bytes of a message. The agent's own limit is 1 KiB of payload. */
const MOST_MESSAGE = 1024 * 1024;
const PATIENCE = 10_000;

/** The service answered the request for a WebSocket with an HTTP status. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

export type Headers = (url: URL) => Promise<Readonly<Record<string, string>>>;

/** @throws RefusedError, a network error, or the signal's reason */
export async function openSocket(
  url: URL,
  headers: Headers | undefined,
  signal: AbortSignal,
): Promise<WebSocket> {
  try {
    return await open(url, await headers?.(url), signal);
  } catch (error) {
    const isDenied = error instanceof RefusedError && (error.status === 401 || error.status === 403);
    if (!headers || !isDenied) throw error;
    return open(url, undefined, signal);
  }
}

async function open(
  url: URL,
  headers: Readonly<Record<string, string>> | undefined,
  signal: AbortSignal,
): Promise<WebSocket> {
  const options = { maxPayload: MOST_MESSAGE, perMessageDeflate: false, handshakeTimeout: PATIENCE };
  const socket = new WebSocket(url, { ...options, ...(headers && { headers }) });
  const { promise: refused, reject } = Promise.withResolvers<never>();
  socket.on('unexpected-response', (_, response) => reject(new RefusedError(response.statusCode ?? 0)));
  try {
    await Promise.race([once(socket, 'open', { signal }), refused]);
    return socket;
  } catch (error) {
    socket.on('error', () => {});
    socket.terminate();
    throw error;
  }
}
