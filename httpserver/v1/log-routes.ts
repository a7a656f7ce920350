/** The routes about the output of containers. */

import { type Static, Type } from 'typebox';
import { LINE_ID, logOf, type PlacedLine } from '../../container/log-of.ts';
import { LOG_STREAMS } from '../../docker-engine/log-lines.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { problemOf } from '../error-bodies.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { lastKnown, type Sent } from './event-stream.ts';
import type { Routes } from './routes.ts';
import { ById, type Given } from './schemas.ts';

export const LogLine = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When Docker read the line, with nanoseconds.' }),
    stream: Type.Enum([...LOG_STREAMS], {
      description: 'If the container has a terminal, everything is stdout.',
    }),
    text: Type.String({
      description:
        'The line, without its end. Bytes that are not UTF-8 become U+FFFD. The text comes from the container: do not trust it.',
    }),
    partial: Type.Optional(
      Type.Literal(true, {
        description:
          'True if the line is not complete. It continues in the next LogLine of the same stream, if there is one.',
      }),
    ),
  },
  { title: 'LogLine', description: "A line of a container's output, or a piece of one with at most 16 KiB." },
);

const lineId = (description: string) => Type.Optional(Type.String({ pattern: LINE_ID.source, description }));

export const LogsHeaders = Type.Object({
  'last-event-id': lineId('The id of the last line that you have received.'),
});

export const LogsQuery = Type.Object(
  {
    follow: Type.Optional(
      Type.Boolean({ default: false, description: 'Follow the output until the container has ended.' }),
    ),
    tail: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Number of last lines, of both streams together. All lines by default.',
      }),
    ),
    stream: Type.Optional(Type.Enum([...LOG_STREAMS], { description: 'Only this stream.' })),
    after: lineId('The same as the header `Last-Event-ID`, which takes precedence. `tail` is then ignored.'),
  },
  { additionalProperties: false },
);

/** @param closing aborts when the server closes; streams end then */
export function addLogRoutes(routes: Routes, gate: Gate<Hosting>, closing: AbortSignal): void {
  routes.stream('/containers/:id/logs', closing, {
    summary: 'Read or follow the output of a container, as server-sent events',
    description:
      'The data of an event `line` is a LogLine. The last event is `end`, or `failed` with a Problem. A stream without one of them was cut off. Of an ended container, the service keeps the last 2000 lines, at most 256 KiB.',
    params: ById,
    headers: LogsHeaders,
    query: LogsQuery,
    handle: async ({ params, query: { after, ...wanted }, headers }, signal) => {
      const last = lastKnown(headers, after);
      return asSent(await logOf(gate.check().tracker, params.id, wanted, last, signal), signal);
    },
  });
}

/** Yields lines as events, and finally how the log ended. */
export async function* asSent(lines: AsyncIterable<PlacedLine>, signal: AbortSignal): AsyncGenerator<Sent> {
  try {
    for await (const { id, line } of lines) {
      yield { event: 'line', id, data: line satisfies Given<Static<typeof LogLine>> };
    }
    yield { event: 'end', data: {} };
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ServiceError)) throw error;
    yield { event: 'failed', data: problemOf(error) };
  }
}
