/** What containers write, for operators. */

import { type Static, Type } from 'typebox';
import { LOG_STREAMS } from '../../container/log-lines.ts';
import { LINE_ID, logOf, type PlacedLine } from '../../container/log-of.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { problemOf } from '../error-bodies.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { lastKnown, type Sent } from './event-stream.ts';
import type { Routes } from './routes.ts';
import { ById, type Given } from './schemas.ts';

export const LogLine = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When Docker read it, to the nanosecond.' }),
    stream: Type.Enum([...LOG_STREAMS], { description: 'All is stdout of a container with a terminal.' }),
    text: Type.String({
      description:
        "Without the line's end; what is no UTF-8 is U+FFFD. The container's own words: never trust them.",
    }),
    partial: Type.Optional(
      Type.Literal(true, {
        description:
          'No end of a line came behind it: it goes on in the next one of the same stream, if there is one.',
      }),
    ),
  },
  { title: 'LogLine', description: 'A line that a container wrote, or 16 KiB of one.' },
);

const lineId = (description: string) => Type.Optional(Type.String({ pattern: LINE_ID.source, description }));

const LogsHeaders = Type.Object({ 'last-event-id': lineId('The id of the last line that is known.') });

const LogsQuery = Type.Object(
  {
    follow: Type.Optional(Type.Boolean({ default: false, description: 'Until the container has ended.' })),
    tail: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'How many of the last lines of both streams; left out: all that there are.',
      }),
    ),
    stream: Type.Optional(Type.Enum([...LOG_STREAMS], { description: 'Only this one.' })),
    after: lineId('As the header `Last-Event-ID`, which counts first. Then `tail` does not count.'),
  },
  { additionalProperties: false },
);

/** @param closing aborts when the server does: streams end then */
export function addLogRoutes(routes: Routes, gate: Gate<Hosting>, closing: AbortSignal): void {
  routes.stream('/containers/:id/logs', closing, {
    summary: 'Read or follow what a container writes, as server-sent events',
    description:
      'The data of each event of the kind `line` is a LogLine. The last event is `end`, or `failed` with a Problem; a stream that ends without was cut off. Of a container that has ended the last 2000 lines are kept, at most 256 KiB.',
    params: ById,
    headers: LogsHeaders,
    query: LogsQuery,
    handle: async ({ params, query: { after, ...wanted }, headers }, signal) => {
      const last = lastKnown(headers, after);
      return asSent(await logOf(gate.check().tracker, params.id, wanted, last, signal), signal);
    },
  });
}

async function* asSent(lines: AsyncIterable<PlacedLine>, signal: AbortSignal): AsyncGenerator<Sent> {
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
