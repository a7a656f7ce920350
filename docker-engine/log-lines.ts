/**
 * What Docker sends of a container's log with `timestamps`, taken apart into lines. Of a terminal it is one text; else
 * it comes in frames, each with a head of 8 bytes: which stream, 3 zeros, and the length of what follows. Its source is
 * the Docker Engine API, ContainerLogs and ContainerAttach.
 *
 * The container decides on every byte behind the time, so a line may be without end, or no text at all.
 *
 * INVARIANTS
 * - What is held is one piece of a line, and what Docker sent last: whoever reads slowly makes Docker wait.
 */

import { StringDecoder } from 'node:string_decoder';
import { ServiceError } from '../errors/service-error.ts';
import { ByteReader } from '../parsing/byte-reader.ts';
import { CALLS } from './calls.ts';

/** A line, or a piece of one. */
export interface LogLine {
  /** When Docker read it: RFC 3339 in UTC, always to the nanosecond. */
  readonly at: string;
  readonly stream: LogStream;
  /** Without the line's end. Bytes that are no UTF-8 are U+FFFD. */
  readonly text: string;
  /** No end of a line came behind it: the next one of the same stream goes on with it, if there is one. */
  readonly partial?: true;
}

export const LOG_STREAMS = ['stdout', 'stderr'] as const;
export type LogStream = (typeof LOG_STREAMS)[number];

interface Piece extends Pick<LogLine, 'at' | 'stream'> {
  readonly content: Buffer;
}

/** Bytes of a piece: Docker itself takes longer lines apart there. */
const MOST = 16 * 1024;
const HEAD = 8;
/** Docker's own words, when it cannot go on. */
const SYSTEM = 3;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z $/;
const STAMP_LENGTH = '2006-01-02T15:04:05.000000000Z '.length;
/** Of what comes before any time. */
const LONG_AGO = '1970-01-01T00:00:00.000000000Z';
const LINE_END = 0x0a;

/** @throws {ServiceError} `docker.failed` when Docker says that it cannot go on, or what it sends is no log */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  isTerminal: boolean,
): AsyncGenerator<LogLine> {
  await using bytes = new ByteReader(chunks);
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  // A terminal has put a carriage return before each line's end.
  const end = isTerminal ? /\r?\n$/ : /\n$/;
  for await (const { at, stream, content } of isTerminal ? ofTerminal(bytes) : ofFrames(bytes)) {
    const decoder = decoders[stream];
    const isWhole = content.at(-1) === LINE_END;
    // A character may go on in the next piece.
    const text = decoder.write(content) + (isWhole ? decoder.end() : '');
    yield isWhole ? { at, stream, text: text.replace(end, '') } : { at, stream, text, partial: true };
  }
}

async function* ofFrames(bytes: ByteReader): AsyncGenerator<Piece> {
  for (let at = LONG_AGO; ; ) {
    const head = await bytes.take(HEAD);
    if (head.length < HEAD) return;
    const stream = head[0] === 2 ? 'stderr' : 'stdout';
    let left = head.readUInt32BE(4);
    if ((head[0] as number) >= SYSTEM) throw await failure(bytes, head, left);
    const stamp = await stampOf(bytes, left);
    if (stamp) left -= STAMP_LENGTH;
    at = stamp ?? at;
    while (left > 0) {
      const content = await bytes.take(Math.min(left, MOST));
      if (content.length === 0) return;
      left -= content.length;
      yield { at, stream, content };
    }
  }
}

async function failure(bytes: ByteReader, head: Buffer, length: number): Promise<ServiceError> {
  const why =
    head[0] === SYSTEM ? String(await bytes.take(Math.min(length, MOST))) : 'what it sent is no log';
  return new ServiceError('docker.failed', { what: CALLS.logs, why: why.trim() });
}

async function* ofTerminal(bytes: ByteReader): AsyncGenerator<Piece> {
  for (let at = LONG_AGO; ; ) {
    // Docker gives a time to each piece that it has taken a line apart to, as to each line.
    at = (await stampOf(bytes, STAMP_LENGTH)) ?? at;
    const content = await bytes.takeThrough(LINE_END, MOST);
    if (content.length === 0) return;
    yield { at, stream: 'stdout', content };
  }
}

/** Takes the time, if one is next. */
async function stampOf(bytes: ByteReader, most: number): Promise<string | undefined> {
  const ahead = (await bytes.peek(Math.min(most, STAMP_LENGTH))).toString('latin1');
  if (!STAMP.test(ahead)) return undefined;
  await bytes.take(STAMP_LENGTH);
  return ahead.trimEnd();
}
