/** A client that reads nothing before it has sent everything, like clients with blocking sockets. */

import { once } from 'node:events';
import { connect as connectTcp, type NetConnectOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';

/** @returns the whole answer @throws if the connection breaks */
export async function sayThenRead(to: NetConnectOpts, bytes: string | Buffer, tls: boolean): Promise<string> {
  // Only a socket with its own buffer stops reading immediately.
  const onread = {
    buffer: Buffer.alloc(64 * 1024),
    callback: (length: number, buffer: Uint8Array) =>
      heard.push(Buffer.from(buffer.subarray(0, length))) || true,
  };
  const socket = connectTcp({ ...to, onread });
  const heard = new Duplex({
    read: () => {},
    write: (piece, _, done) => void socket.write(piece, done),
    final: (done) => void socket.end(done),
  });
  socket.on('end', () => heard.push(null));
  socket.on('error', (error) => heard.destroy(error));
  const client = tls ? connectTls({ socket: heard, rejectUnauthorized: false }) : heard;
  await once(tls ? client : socket, tls ? 'secureConnect' : 'connect');
  socket.pause();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.on('error', reject);
  client.write(bytes, () => resolve());
  await promise;
  socket.resume();
  try {
    return await text(client);
  } finally {
    socket.destroy();
  }
}
