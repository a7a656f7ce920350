/** A connection to the Docker Engine, and its failures. */

import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { messageOf } from '../../errors/service-error.ts';
import { BodyScanner } from './body-scanner.ts';
import { MalformedMessage, parseResponse, type RequestHead, type ResponseHead } from './message-head.ts';
import { passOn } from './passing.ts';
import { ReadBuffers } from './read-buffers.ts';
import { widen } from './sockets.ts';
import { Source, write } from './source.ts';

/** The Engine did not accept the connection, so it has not received the request. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** The connection broke before the answer was complete, so the result of the request is unknown. */
export class Lost extends Error {
  override readonly name = 'Lost';
}

/** The Engine's answer, as bytes and parsed. */
export interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
  readonly data: Buffer;
}

/** The maximum size in bytes of an answer that is read before it is passed on. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** @param path of the Engine's socket @throws {Unreachable} */
export async function connectEngine(path: string): Promise<Source> {
  const buffers = new ReadBuffers();
  const socket = createConnection({ path, allowHalfOpen: true, onread: buffers });
  socket.on('close', buffers.close);
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw new Unreachable(messageOf(error), { cause: error });
  }
  widen(socket);
  return new Source(socket, buffers);
}

/** @throws {Lost} */
export async function nextAnswer(engine: Source, method: string): Promise<ResponseHead> {
  try {
    const bytes = await engine.head();
    if (bytes) return parseResponse(bytes, method);
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
  }
  throw new Lost('Docker broke off its answer');
}

/** The body of an answer, piece by piece. @throws {Lost} */
export async function* bodyOf(
  engine: Source,
  { framing }: ResponseHead,
  onData?: (data: Buffer) => void,
): AsyncGenerator<Buffer, void> {
  try {
    yield* engine.body(framing, onData);
  } catch (error) {
    throw lostIf(error);
  }
}

/** Passes an answer on. @returns whether all of it was accepted @throws {Lost} */
export async function passAnswer(
  engine: Source,
  { bytes, framing }: ResponseHead,
  to: Socket,
): Promise<boolean> {
  try {
    return await passOn(engine, to, new BodyScanner(framing), bytes);
  } catch (error) {
    throw lostIf(error);
  }
}

function lostIf(error: unknown): unknown {
  return error instanceof MalformedMessage
    ? new Lost('Docker broke off its answer', { cause: error })
    : error;
}

/** Sends a request and waits for the complete answer. @throws {Lost} */
export async function ask(
  engine: Source,
  request: Buffer,
  { method }: Pick<RequestHead, 'method'>,
): Promise<Answer> {
  await write(engine.socket, request);
  let head = await nextAnswer(engine, method);
  while (head.status < 200) head = await nextAnswer(engine, method);
  const pieces = [head.bytes];
  const data: Buffer[] = [];
  let length = 0;
  for await (const piece of bodyOf(engine, head, (part) => data.push(part))) {
    length += piece.length;
    if (length > LONGEST_ANSWER) throw new Lost('Docker answered more than can be');
    pieces.push(piece);
  }
  return { status: head.status, bytes: Buffer.concat(pieces), data: Buffer.concat(data) };
}
