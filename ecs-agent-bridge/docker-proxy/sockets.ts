/**
 * Prepares unix sockets for large streams. They read into reusable memory, and have send buffers that are large enough
 * to avoid frequent waits. Node does not support either for accepted connections, so this uses the undocumented handle
 * of a socket.
 */

import { Socket, type SocketConstructorOpts } from 'node:net';
import { setSendBuffer } from '../../uinput-native/send-buffer.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** Bytes. */
const SEND_BUFFER = 2 ** 20;

interface Inner {
  _handle: { readonly fd: number } | null;
}

/** Enlarges the send buffer of a connected socket. */
export function widen(socket: Socket): void {
  const { _handle: handle } = socket as unknown as Inner;
  if (handle) setSendBuffer(handle.fd, SEND_BUFFER);
}

/** @returns a socket that replaces the one just accepted; they close together */
export function adopt(accepted: Socket, buffers: ReadBuffers): Socket {
  const inner = accepted as unknown as Inner;
  const options = { handle: inner._handle, allowHalfOpen: true, onread: buffers };
  const socket = new Socket(options as unknown as SocketConstructorOpts);
  inner._handle = null;
  accepted.on('close', () => socket.destroy());
  socket.on('close', () => accepted.destroy());
  socket.on('close', buffers.close);
  widen(socket);
  return socket;
}
