/** Messages that arrive in pieces of a test's choice. */

import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { BodyScanner } from '../../ecs-agent-bridge/docker-proxy/body-scanner.ts';
import type { Framing } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { ReadBuffers } from '../../ecs-agent-bridge/docker-proxy/read-buffers.ts';
import { Source } from '../../ecs-agent-bridge/docker-proxy/source.ts';

/** A readable side that arrives piece by piece and then ends; it cannot be written. */
export function sourceOf(pieces: readonly string[]): Source {
  const socket = Readable.from(
    pieces.filter((piece) => piece !== '').map((piece) => Buffer.from(piece, 'latin1')),
    { objectMode: false },
  );
  return sourceOn(socket);
}

/** A stream in place of a socket. */
export function sourceOn(stream: Readable): Source {
  const buffers = new ReadBuffers();
  stream.on('data', (piece: Buffer) => buffers.onPiece(piece, () => {}));
  return new Source(stream as Socket, buffers);
}

interface Scanned {
  readonly data: string;
  /** The number of bytes of the pieces that belong to the body. */
  readonly length: number;
  readonly isDone: boolean;
}

/** @throws {MalformedMessage} */
export function scan(framing: Framing, pieces: readonly string[]): Scanned {
  const scanner = new BodyScanner(framing);
  const data: Buffer[] = [];
  let length = 0;
  for (const piece of pieces) length += scanner.take(Buffer.from(piece, 'latin1'), (part) => data.push(part));
  return { data: Buffer.concat(data).toString('latin1'), length, isDone: scanner.isDone };
}

/** All ways to split it in two, and into single characters. */
export function cutsOf(message: string): string[][] {
  const inTwo = Array.from(message, (_, at) => [message.slice(0, at), message.slice(at)]);
  return [...inTwo, [message], message.split('')];
}
