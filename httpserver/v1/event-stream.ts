/**
 * Server-sent events: an endless response that a client can resume after an interruption. Source: the HTML standard,
 * 9.2.
 */

import { once } from 'node:events';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

export interface Sent {
  readonly event: string;
  readonly id?: string;
  readonly data: object;
}

/** The id of the last event that the client knows, from the header that browsers send or from the query. */
export function lastKnown(
  { 'last-event-id': given }: IncomingHttpHeaders,
  after?: string,
): string | undefined {
  return typeof given === 'string' ? given : after;
}

/** Milliseconds between comments that keep the connection alive, because proxies close idle connections. */
const SIGN_OF_LIFE = 15_000;

/**
 * Aborts when the connection of a response closes.
 * @param mayGoOn called at each keep-alive; if it throws, the stream ends too
 */
export function goneWith(response: ServerResponse, mayGoOn = () => {}): AbortSignal {
  const gone = new AbortController();
  const timer = setInterval(() => {
    try {
      mayGoOn();
    } catch {
      gone.abort();
    }
  }, SIGN_OF_LIFE);
  response.once('close', () => {
    clearInterval(timer);
    gone.abort();
  });
  return gone.signal;
}

/** Writes events until they end or the signal aborts. */
export async function sendEvents(
  response: ServerResponse,
  events: AsyncIterable<Sent>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.write(': these are events\n\n');
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) response.write(':\n\n');
  }, SIGN_OF_LIFE);
  try {
    for await (const { event, id, data } of events) {
      const lines = [`event: ${event}`, ...(id ? [`id: ${id}`] : []), `data: ${JSON.stringify(data)}`];
      const isRead = response.write(`${lines.join('\n')}\n\n`);
      if (!isRead) await once(response, 'drain', { signal }).catch(() => {});
      if (signal.aborted) break;
    }
  } finally {
    clearInterval(timer);
    response.end();
  }
}
