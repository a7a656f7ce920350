/** The streams of `/v1`: server-sent events. */

import type { EventSourceMessage } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';

/** @param body the data of a call with `parseAs: 'stream'` */
export function messagesOf(body: unknown): ReadableStream<EventSourceMessage> {
  return (body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(new EventSourceParserStream());
}
