/** The WebSocket of a terminal, with a client that may send any frames. */

import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import fc from 'fast-check';
import { WebSocketServer } from 'ws';
import { join } from '../../../httpserver/v1/terminal-socket.ts';
import { Terminal } from '../../../ttys/terminal.ts';
import { FakePty } from '../../support/fake-pty.ts';
import { exchange } from '../exchange.ts';
import { jsonWith, mutated } from '../mutations.ts';
import type { Target } from '../target.ts';

const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: host',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');
/** The maximum size of a message that the service accepts, in bytes. */
const MOST = 64 * 1024;

/** A frame of a client, masked with zeros. Source: RFC 6455, 5.2 */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const sizes =
    length < 126 ? Buffer.from([0x80 | length]) : Buffer.from([0x80 | 126, length >> 8, length & 0xff]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), sizes, Buffer.alloc(4), payload]);
}

const said = jsonWith({ type: 'resize', columns: 80, rows: 24 }).map((value) => JSON.stringify(value));
const frames = fc
  .array(
    fc.oneof(
      said.map((text) => frame(1, Buffer.from(text).subarray(0, MOST))),
      fc.string({ maxLength: 100 }).map((text) => frame(2, Buffer.from(text))),
      fc
        .tuple(fc.integer({ min: 0, max: 15 }), fc.string({ maxLength: 20 }))
        .map(([opcode, text]) => frame(opcode, Buffer.from(text))),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((all) => Buffer.concat(all));

export const target: Target<Buffer> = {
  share: 150,
  parsers: [
    'httpserver/v1/terminal-socket.ts',
    'httpserver/v1/terminal-messages.ts',
    'ttys/terminal.ts',
    'ttys/attachment.ts',
  ],
  inputs: mutated(frames),
  async open() {
    const place = await mkdtempDisposable(joinPath(tmpdir(), 'fuzz-'));
    const path = joinPath(place.path, 'socket');
    const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST });
    const closing = new AbortController();
    let joined: Promise<void> = Promise.resolve();
    let typed = 0;
    const server = createServer().on('upgrade', (request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (client) => {
        client.on('error', () => {});
        const pty = new FakePty();
        const terminal = new Terminal('0123456789abcdef', pty, { columns: 80, rows: 24 });
        const attachment = terminal.attach({ as: 'write', after: undefined });
        client.on('close', () => pty.end(0));
        joined = join(client, terminal, attachment, { closing: closing.signal, askAgain: () => {} }).then(
          () => {
            typed += pty.typed.length;
          },
        );
      });
    });
    await once(server.listen(path), 'listening');
    const send = async (bytes: Buffer) => {
      await exchange(connect(path), Buffer.concat([Buffer.from(HANDSHAKE), bytes]), /^$/);
      await joined;
    };
    return {
      take: send,
      async check() {
        const before = typed;
        await send(frame(2, Buffer.from('x')));
        if (typed === before) throw new Error('what was typed did not arrive');
      },
      async [Symbol.asyncDispose]() {
        sockets.close();
        server.close();
        await place.remove();
      },
    };
  },
};
