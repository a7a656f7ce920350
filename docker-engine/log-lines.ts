/**
 * Splits Docker's stream of a container's log, requested with `timestamps`, into lines. For a terminal, the stream is
 * plain text. Otherwise it consists of frames; each has a head of 8 bytes with the stream, 3 zeros, and the length of
 * the frame. Source: the Docker Engine API, ContainerLogs and ContainerAttach.
 *
 * The container controls every byte after the time, so a line may be endless or not be text.
 *
 * INVARIANTS
 * - Memory is limited to one piece of a line and the last chunk from Docker. A slow reader makes Docker wait.
 */

import { StringDecoder } from 'node:string_decoder';
import { ServiceError } from '../errors/service-error.ts';
import { ByteReader } from '../parsing/byte-reader.ts';
import { CALLS } from './calls.ts';

/** A line, or a piece of a long one. */
export interface LogLine {
  /** When Docker read it: RFC 3339 in UTC, with nanoseconds. */
  readonly at: string;
  readonly stream: LogStream;
  /** Without the end of line. Invalid UTF-8 becomes U+FFFD. */
  readonly text: string;
  /** The piece has no end of line. The next piece of the same stream continues it, if there is one. */
  readonly partial?: true;
}

export const LOG_STREAMS = ['stdout', 'stderr'] as const;
export type LogStream = (typeof LOG_STREAMS)[number];

interface Piece extends Pick<LogLine, 'at' | 'stream'> {
  readonly content: Buffer;
}

/** The size of a piece in bytes. Docker itself splits longer lines at this size. */
const MOST = 16 * 1024;
const HEAD = 8;
/** The stream number of Docker's own message that it cannot continue. */
const SYSTEM = 3;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z $/;
const STAMP_LENGTH = '2006-01-02T15:04:05.000000000Z '.length;
/** The time of anything that precedes the first time. */
const LONG_AGO = '1970-01-01T00:00:00.000000000Z';
const LINE_END = 0x0a;

/**
 * @throws {ServiceError} `docker.failed` when Docker says that it cannot continue, or when it sends something other
 * than a log
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  isTerminal: boolean,
): AsyncGenerator<LogLine> {
  await using bytes = new ByteReader(chunks);
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  // A terminal adds a carriage return before each line feed.
  const end = isTerminal ? /\r?\n$/ : /\n$/;
  for await (const { at, stream, content } of isTerminal ? ofTerminal(bytes) : ofFrames(bytes)) {
    const decoder = decoders[stream];
    const isWhole = content.at(-1) === LINE_END;
    // The next piece may continue a multi-byte character.
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
    // Docker gives a timestamp to each piece of a split line, as it does to each line.
    at = (await stampOf(bytes, STAMP_LENGTH)) ?? at;
    const content = await bytes.takeThrough(LINE_END, MOST);
    if (content.length === 0) return;
    yield { at, stream: 'stdout', content };
  }
}

/** Reads a time, if one comes next. */
async function stampOf(bytes: ByteReader, most: number): Promise<string | undefined> {
  const ahead = (await bytes.peek(Math.min(most, STAMP_LENGTH))).toString('latin1');
  if (!STAMP.test(ahead)) return undefined;
  await bytes.take(STAMP_LENGTH);
  return ahead.trimEnd();
}
